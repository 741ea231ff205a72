//! The scalar keys as flags and environment variables, with what `--help` says of each.

use tidegate_proto::settings::Setting;

/// Every scalar key, for flags, variables and `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting { path: "data_dir", help: "Folder of the store; created 0700 when absent" },
    Setting { path: "heartbeat.listen", help: "UDP address for heartbeats" },
    Setting { path: "heartbeat.keys_file", help: "File with one accepted key a line" },
    Setting { path: "heartbeat.allow_weak_key", help: "Admit text: keys such as Wowza's" },
    Setting {
        path: "heartbeat.allowed_redirect_hosts",
        help: "Name suffixes and CIDRs that edges may announce; empty: any valid host",
    },
    Setting { path: "heartbeat.allowed_edges", help: "UUIDs of edges to admit; empty: any" },
    Setting { path: "heartbeat.edges_max", help: "The most edges to remember" },
    Setting { path: "client.listen", help: "TCP addresses for clients" },
    Setting { path: "client.connections_max", help: "The most client connections at once" },
    Setting {
        path: "client.connections_per_address_max",
        help: "The most client connections of one address (IPv6: of one /64) at once; 0: no limit",
    },
    Setting {
        path: "client.rtmp_redirects_per_second",
        help: "RTMP redirects for one address and application, because clients loop; 0: no limit",
    },
    Setting { path: "client.rtmp_redirects_burst", help: "RTMP redirects before that rate counts" },
    Setting { path: "client.rtmpt_sessions_max", help: "The most RTMPT sessions at once; 0: none" },
    Setting {
        path: "client.splices_max",
        help: "The most spliced RTMP connections at once; 0: none",
    },
    Setting {
        path: "client.redirect_scheme",
        help: "Scheme of redirects within its family, HTTP or RTMP; empty: the client's",
    },
    Setting { path: "client.redirect_port", help: "Port of redirects; 0: the edge's endpoint" },
    Setting { path: "client.server_info_xml", help: "Answer ?serverInfoXML" },
    Setting { path: "client.ignore_clients", help: "CIDRs that are never redirected" },
    Setting {
        path: "client.trusted_proxies",
        help: "CIDRs whose X-Forwarded-For, X-Forwarded-Proto and PROXY header are believed",
    },
    Setting { path: "client.tls_cert", help: "Certificate chain for clients (PEM); empty: no TLS" },
    Setting { path: "client.tls_key", help: "Key of client.tls_cert (PEM); a secret file" },
    Setting {
        path: "selection.policy",
        help: "How an edge is chosen: fill, sticky, least, wowza, report, p2c or random",
    },
    Setting {
        path: "selection.redirectors",
        help: "How many redirectors share the clients; 0: what agents report",
    },
    Setting {
        path: "selection.landing_delay",
        help: "From a redirect until its edge counts the viewer",
    },
    Setting {
        path: "selection.window",
        help: "Share of an edge's capacity handed out before a report confirms it",
    },
    Setting {
        path: "selection.slow_start_reports",
        help: "Reports in which a new session grows to that window; 0: at once",
    },
    Setting {
        path: "selection.late_intervals",
        help: "Intervals without a report until others are taken first",
    },
    Setting { path: "selection.late_intervals_sticky", help: "The same under sticky" },
    Setting {
        path: "selection.late_share_max",
        help: "If a larger share of the edges is late, it is forgiven",
    },
    Setting {
        path: "selection.sticky_slack",
        help: "sticky stays on a stream's edges up to this much above the mean",
    },
    Setting {
        path: "selection.sticky_floor",
        help: "Or while they carry less than this share of their capacity",
    },
    Setting {
        path: "selection.stream_share_max",
        help: "The most of one stream's viewers that one edge gets; 1: no limit",
    },
    Setting {
        path: "selection.stream_share_from",
        help: "Viewers from which a stream is limited so",
    },
    Setting { path: "selection.zone_label", help: "The label that names an edge's zone" },
    Setting {
        path: "selection.zone_spill",
        help: "Mean load of a zone's edges above which its clients go to the next zone",
    },
    Setting {
        path: "selection.geoip_file",
        help: "File that says where addresses are (.mmdb); empty: none",
    },
    Setting {
        path: "selection.overflow",
        help: "URLs of other places, for when no edge can serve, such as https://cdn.example.com",
    },
    Setting {
        path: "selection.overflow_at",
        help: "Load of edges from which on clients go there instead",
    },
    Setting {
        path: "selection.failure_evidence",
        help: "Whether clients that name an edge in tg_failed speak against it",
    },
    Setting { path: "liveness.suspect_intervals", help: "Intervals of silence until SUSPECT" },
    Setting { path: "liveness.down_intervals", help: "Intervals of silence until DOWN" },
    Setting { path: "liveness.forget_after", help: "Silence until a DOWN edge is forgotten" },
    Setting {
        path: "liveness.preserve_share",
        help: "Share of the fleet whose sudden silence freezes DOWN",
    },
    Setting {
        path: "liveness.panic_share",
        help: "Share of fresh edges below which silence is forgiven",
    },
    Setting { path: "admin.listen", help: "TCP address of the gRPC admin API" },
    Setting { path: "admin.reflection", help: "Answer gRPC reflection" },
    Setting { path: "admin.insecure", help: "Serve the admin API off loopback without protection" },
    Setting { path: "admin.tls_cert", help: "Certificate chain of the admin API (PEM)" },
    Setting { path: "admin.tls_key", help: "Key of admin.tls_cert (PEM); a secret file" },
    Setting { path: "admin.client_ca", help: "CA whose client certificates are operators (mTLS)" },
    Setting { path: "admin.tokens_file", help: "File with hashed bearer tokens and their roles" },
    Setting { path: "ops.listen", help: "TCP address of probes and metrics" },
    Setting { path: "ops.open", help: "Show metrics and fleet off loopback without a token" },
    Setting { path: "ops.stop_delay", help: "Keep serving, unready, this long after SIGTERM" },
    Setting {
        path: "ops.first_edge_wait",
        help: "The longest that /startupz waits for an edge to be known",
    },
    Setting { path: "telemetry.otlp_endpoint", help: "OpenTelemetry OTLP/gRPC URL; empty: off" },
    Setting { path: "telemetry.log", help: "Log filter, for example info or warn,audit=info" },
    Setting { path: "telemetry.log_format", help: "text or json" },
];
