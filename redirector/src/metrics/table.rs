//! The table. docs/metrics.md says what to do when a figure moves; a test keeps the two alike.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tidegate_control::{
    selection::{Evidence, Policy, Vote},
    snapshot::{AdminState, Mode},
};

use super::{
    Kind::{Counter, Gauge},
    Metric, Reading, Sources,
};
use crate::ingest::kernel_drops;

const ADMIN_STATES: [AdminState; 3] =
    [AdminState::Active, AdminState::Draining, AdminState::Drained];
const MODES: [Mode; 3] = [Mode::Normal, Mode::Preserve, Mode::Panic];

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "tidegate_build_info",
        kind: Gauge,
        label: "version",
        help: "Always 1; the label is the version that runs.",
        read: |_, reading| reading.under(env!("CARGO_PKG_VERSION"), 1.0),
    },
    Metric {
        name: "tidegate_datagrams_received_total",
        kind: Counter,
        label: "",
        help: "Datagrams that came to the heartbeat port.",
        read: |from, reading| reading.count(get(&from.ingest.received)),
    },
    Metric {
        name: "tidegate_datagrams_rejected_total",
        kind: Counter,
        label: "reason",
        help: "Datagrams refused, by reason.",
        read: |from, reading| reading.counts(from.ingest.rejected.iter()),
    },
    Metric {
        name: "tidegate_heartbeats_accepted_total",
        kind: Counter,
        label: "",
        help: "Heartbeats handed to the fleet.",
        read: |from, reading| reading.count(get(&from.ingest.accepted)),
    },
    Metric {
        name: "tidegate_heartbeats_total",
        kind: Counter,
        label: "key_id",
        help: "Datagrams that opened, by fleet key.",
        read: |from, reading| {
            for key in from.ingest.keys().iter() {
                reading.under(key.id.to_string(), get(&key.opened) as f64);
            }
        },
    },
    Metric {
        name: "tidegate_key_last_used_timestamp_seconds",
        kind: Gauge,
        label: "key_id",
        help: "When a datagram last opened with the fleet key, in Unix seconds; 0: not since the start.",
        read: |from, reading| {
            for key in from.ingest.keys().iter() {
                reading.under(key.id.to_string(), get(&key.last_unix_ms) as f64 / 1e3);
            }
        },
    },
    Metric {
        name: "tidegate_weak_key",
        kind: Gauge,
        label: "",
        help: "1 while a text key is accepted.",
        read: |from, reading| reading.flag(from.ingest.weak_key.load(Relaxed)),
    },
    Metric {
        name: "tidegate_acks_sent_total",
        kind: Counter,
        label: "",
        help: "Acks sent to edges.",
        read: |from, reading| reading.count(get(&from.ingest.acks_sent)),
    },
    Metric {
        name: "tidegate_acks_withheld_total",
        kind: Counter,
        label: "",
        help: "Acks that edges asked for and did not get: longer than the request, or the socket would not take them.",
        read: |from, reading| reading.count(get(&from.ingest.acks_withheld)),
    },
    Metric {
        name: "tidegate_receive_errors_total",
        kind: Counter,
        label: "",
        help: "Receives on the heartbeat port that failed.",
        read: |from, reading| reading.count(get(&from.ingest.receive_errors)),
    },
    Metric {
        name: "tidegate_kernel_drops_total",
        kind: Counter,
        label: "",
        help: "Datagrams the kernel dropped because the heartbeat port's receive buffer was full.",
        read: |from, reading| {
            reading.count(kernel_drops(get(&from.ingest.socket_inode)).unwrap_or(0));
        },
    },
    Metric {
        name: "tidegate_receive_buffer_bytes",
        kind: Gauge,
        label: "",
        help: "The heartbeat port's receive buffer as the kernel counts it: twice what it granted.",
        read: |from, reading| reading.count(get(&from.ingest.receive_buffer_bytes)),
    },
    Metric {
        name: "tidegate_sessions",
        kind: Gauge,
        label: "",
        help: "Edges whose sender's session is remembered.",
        read: |from, reading| reading.count(get(&from.ingest.sessions)),
    },
    Metric {
        name: "tidegate_clock_suspect",
        kind: Gauge,
        label: "",
        help: "1 while most edges' clocks differ from this machine's by the same amount.",
        read: |from, reading| reading.flag(from.ingest.clock_suspect.load(Relaxed)),
    },
    Metric {
        name: "tidegate_answers_total",
        kind: Counter,
        label: "kind",
        help: "Answers to clients over HTTP, by kind; of those without an edge, the reason.",
        read: |from, reading| reading.counts(from.clients.figures.iter()),
    },
    Metric {
        name: "tidegate_requests_refused_total",
        kind: Counter,
        label: "reason",
        help: "Requests of clients refused before they were looked at, by reason.",
        read: |from, reading| reading.counts(from.front.refused().into_iter()),
    },
    Metric {
        name: "tidegate_connections_total",
        kind: Counter,
        label: "event",
        help: "What became of clients' connections.",
        read: |from, reading| reading.counts(from.front.connections().into_iter()),
    },
    Metric {
        name: "tidegate_connections_open",
        kind: Gauge,
        label: "",
        help: "Clients' connections open now.",
        read: |from, reading| reading.count(from.front.open_now()),
    },
    Metric {
        name: "tidegate_connections_by_protocol_total",
        kind: Counter,
        label: "protocol",
        help: "Clients' connections, by what was spoken on them.",
        read: |from, reading| reading.counts(from.front.protocols().into_iter()),
    },
    Metric {
        name: "tidegate_rtmp_answers_total",
        kind: Counter,
        label: "kind",
        help: "Answers to clients over RTMP, RTMPS and RTMPT, by kind; of those without an edge, the reason.",
        read: |from, reading| reading.counts(from.clients.rtmp.answers.iter()),
    },
    Metric {
        name: "tidegate_rtmp_refused_total",
        kind: Counter,
        label: "reason",
        help: "RTMP sessions ended, and requests of RTMPT refused, without an answer, by reason.",
        read: |from, reading| reading.counts(from.clients.rtmp.refused()),
    },
    Metric {
        name: "tidegate_rtmpt_sessions",
        kind: Gauge,
        label: "",
        help: "Sessions of RTMPT open now.",
        read: |from, reading| reading.count(from.clients.tunnels_open()),
    },
    Metric {
        name: "tidegate_splices_total",
        kind: Counter,
        label: "",
        help: "Clients that were connected to an edge through this redirector.",
        read: |from, reading| reading.count(get(&from.clients.rtmp.splices)),
    },
    Metric {
        name: "tidegate_splices_open",
        kind: Gauge,
        label: "",
        help: "Clients connected to an edge through this redirector now.",
        read: |from, reading| reading.count(from.clients.rtmp.splices_open.get()),
    },
    Metric {
        name: "tidegate_splice_failures_total",
        kind: Counter,
        label: "reason",
        help: "Clients that were not spliced, and edges that could not take one over, by reason.",
        read: |from, reading| reading.counts(from.clients.rtmp.splice_faults.iter()),
    },
    Metric {
        name: "tidegate_splice_bytes_total",
        kind: Counter,
        label: "direction",
        help: "Bytes moved for spliced clients, by direction.",
        read: |from, reading| {
            reading.under("to_clients", get(&from.clients.rtmp.bytes_to_clients) as f64);
            reading.under("to_edges", get(&from.clients.rtmp.bytes_to_edges) as f64);
        },
    },
    Metric {
        name: "tidegate_edges",
        kind: Gauge,
        label: "liveness",
        help: "Known edges by observed health.",
        read: |from, reading| {
            reading.counts(from.fleet.view().count_by_liveness().into_iter());
        },
    },
    Metric {
        name: "tidegate_edges_ordered",
        kind: Gauge,
        label: "admin_state",
        help: "Known edges by the operator's intent.",
        read: by_admin_state,
    },
    Metric {
        name: "tidegate_edges_eligible",
        kind: Gauge,
        label: "",
        help: "Edges that may be given the next client.",
        read: |from, reading| reading.count(from.fleet.view().eligible.len() as u64),
    },
    Metric {
        name: "tidegate_edges_fallback",
        kind: Gauge,
        label: "",
        help: "Edges that are given clients only when none of the eligible ones can be.",
        read: |from, reading| reading.count(from.fleet.view().fallback.len() as u64),
    },
    Metric {
        name: "tidegate_failure_votes_total",
        kind: Counter,
        label: "outcome",
        help: "Clients' votes against edges that have failed them, by what became of them.",
        read: |from, reading| match evidence(from) {
            Some(evidence) => reading.counts(evidence.figures()),
            None => reading.counts(Vote::ALL.into_iter().map(|vote| (vote.as_str(), 0))),
        },
    },
    Metric {
        name: "tidegate_edges_voted_out",
        kind: Gauge,
        label: "",
        help: "Edges that wait for their next report because clients voted against them.",
        read: |from, reading| {
            reading.count(evidence(from).map_or(0, |evidence| evidence.edges_out()));
        },
    },
    Metric {
        name: "tidegate_viewers",
        kind: Gauge,
        label: "",
        help: "Viewers on all eligible edges, by their last reports; unknown counts as none.",
        read: viewers,
    },
    Metric {
        name: "tidegate_fleet_mode",
        kind: Gauge,
        label: "mode",
        help: "1 for the mode the fleet is in: how far silence is believed.",
        read: |from, reading| {
            let current = from.fleet.view().mode;
            for mode in MODES {
                reading.under(mode.as_str(), if mode == current { 1.0 } else { 0.0 });
            }
        },
    },
    Metric {
        name: "tidegate_selection_policy",
        kind: Gauge,
        label: "policy",
        help: "1 for the policy that edges are chosen by.",
        read: |from, reading| {
            let current = from.fleet.snapshot().table.selection().policy;
            for policy in Policy::ALL {
                reading.under(policy.as_str(), if policy == current { 1.0 } else { 0.0 });
            }
        },
    },
    Metric {
        name: "tidegate_load",
        kind: Gauge,
        label: "of",
        help: "Predicted load of the edges that are drawn from, as a share of capacity: their mean, the highest of one, and the level that they are filled up to.",
        read: |from, reading| {
            let balance = reading.balance(from);
            reading.under("mean", balance.mean);
            reading.under("highest", balance.highest);
            reading.under("level", balance.level);
        },
    },
    Metric {
        name: "tidegate_load_imbalance",
        kind: Gauge,
        label: "",
        help: "The highest predicted load of an edge over the mean; 0: there is nothing to compare.",
        read: |from, reading| reading.value(reading.balance(from).imbalance()),
    },
    Metric {
        name: "tidegate_edges_held_back",
        kind: Gauge,
        label: "reason",
        help: "Eligible edges that are given fewer clients, or none while others can serve, by reason.",
        read: |from, reading| {
            let balance = reading.balance(from);
            reading.under("late", balance.late as f64);
            reading.under("unmeasured", balance.unmeasured as f64);
            reading.under("ramping", balance.ramping as f64);
            reading.under("window_closed", balance.window_closed as f64);
            reading.under("above_overflow", balance.above_overflow as f64);
        },
    },
    Metric {
        name: "tidegate_edges_weighted",
        kind: Gauge,
        label: "",
        help: "Edges that an operator gave another weight than 1.",
        read: |from, reading| {
            let view = from.fleet.view();
            reading.count(view.edges.iter().filter(|edge| edge.weighting.is_some()).count() as u64);
        },
    },
    Metric {
        name: "tidegate_redirectors_assumed",
        kind: Gauge,
        label: "",
        help: "How many redirectors are taken to share the clients.",
        read: |from, reading| reading.value(from.fleet.snapshot().table.redirectors().into()),
    },
    Metric {
        name: "tidegate_plans_total",
        kind: Counter,
        label: "",
        help: "Tables made for picks to draw from.",
        read: |from, reading| reading.count(get(&from.fleet.figures().plans)),
    },
    Metric {
        name: "tidegate_plan_seconds_total",
        kind: Counter,
        label: "",
        help: "Time spent making them.",
        read: |from, reading| {
            reading.value(get(&from.fleet.figures().plan_us) as f64 / 1e6);
        },
    },
    Metric {
        name: "tidegate_publications_total",
        kind: Counter,
        label: "",
        help: "Views of the fleet published to pickers.",
        read: |from, reading| reading.count(from.fleet.view().publication),
    },
    Metric {
        name: "tidegate_order_revision",
        kind: Gauge,
        label: "",
        help: "The revision of the last order that changed something.",
        read: |from, reading| reading.count(from.fleet.view().order_revision),
    },
    Metric {
        name: "tidegate_orders_total",
        kind: Counter,
        label: "result",
        help: "Orders of operators, by result.",
        read: |from, reading| {
            let figures = from.fleet.figures();
            reading.under("accepted", get(&figures.orders_accepted) as f64);
            reading.under("refused", get(&figures.orders_refused) as f64);
        },
    },
    Metric {
        name: "tidegate_store_commits_total",
        kind: Counter,
        label: "",
        help: "Orders made durable.",
        read: |from, reading| reading.count(get(&from.fleet.figures().store_commits)),
    },
    Metric {
        name: "tidegate_store_commit_seconds_total",
        kind: Counter,
        label: "",
        help: "Time spent making orders durable.",
        read: |from, reading| {
            reading.value(get(&from.fleet.figures().store_commit_us) as f64 / 1e6);
        },
    },
    Metric {
        name: "tidegate_store_rows_total",
        kind: Counter,
        label: "",
        help: "Rows of edges written.",
        read: |from, reading| reading.count(get(&from.fleet.figures().store_rows)),
    },
    Metric {
        name: "tidegate_store_failed",
        kind: Gauge,
        label: "",
        help: "1 once the store has failed; orders that need it are refused then.",
        read: |from, reading| reading.flag(from.fleet.figures().store_failed.load(Relaxed)),
    },
    Metric {
        name: "tidegate_audit_dropped_total",
        kind: Counter,
        label: "",
        help: "Audit records lost because too many waited.",
        read: |from, reading| reading.count(get(&from.fleet.figures().audit_dropped)),
    },
];

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// Clients' word on edges, where it counts.
fn evidence(from: &Sources) -> Option<Arc<Evidence>> {
    from.clients.published.load().table.selection().failure_evidence.clone()
}

fn by_admin_state(from: &Sources, reading: &mut Reading<'_>) {
    let view = from.fleet.view();
    for state in ADMIN_STATES {
        let count = view.edges.iter().filter(|edge| edge.admin_state == state).count();
        reading.under(state.as_str(), count as f64);
    }
}

fn viewers(from: &Sources, reading: &mut Reading<'_>) {
    let view = from.fleet.view();
    let eligible = view.eligible.iter().filter_map(|place| view.edges.get(*place));
    reading.count(eligible.filter_map(|edge| edge.load.viewers).map(u64::from).sum());
}
