//! Carries out what a [`Peer`] decides: one task a target, with its socket, timer and status row.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::{datagram::DATAGRAM_LEN_MAX, heartbeat::Heartbeat};
use tokio::{sync::watch, time::sleep_until};

use super::{
    Shared,
    peer::{Ignored, Moment, Peer},
    route::{Event, Route},
    way::Remedy,
};
use crate::{
    report::{State, heartbeat, with_streams},
    status::TargetStatus,
    targets::Target,
};

/// When the copies of a goodbye go out, after the first.
const GOODBYE_OFFSETS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(300)];

/// How long before a heartbeat new figures are asked for; never more than a share of the interval.
const FIGURES_LEAD: Duration = Duration::from_millis(100);
const FIGURES_LEAD_SHARE: u32 = 4;

/// What is wrong when nothing else is known to be.
const SILENT: &str = "no ack for 30 s although asked: check the key, the address and the firewall";

/// How a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The edge leaves, or no longer reports here.
    Goodbye,
    /// Another session to the same redirector takes over; a goodbye would tear that down.
    Silent,
}

/// One target's task.
pub(super) struct Link {
    shared: Arc<Shared>,
    peer: Peer,
    route: Route,
    status: watch::Sender<TargetStatus>,
    /// How many other addresses may still be tried before the next regular heartbeat.
    tries_left: usize,
    /// The next heartbeat is such a try.
    hastened: bool,
    /// New figures were asked for, for the next heartbeat.
    asked: bool,
    /// Heartbeats made; each tells another part of the streams.
    turn: u64,
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        target: &Target,
        status: watch::Sender<TargetStatus>,
    ) -> Self {
        let moment = Moment::now();
        let peer = Peer::new(shared.id, target.key(), shared.profile.interval, &moment);
        let route = Route::new(target.host(), target.port(), moment.instant);
        Self { shared, peer, route, status, tries_left: 0, hastened: false, asked: false, turn: 0 }
    }

    /// Reports until told to end. Timer before socket: a flood of datagrams delays no heartbeat.
    pub(super) async fn run(mut self, mut end: watch::Receiver<Option<End>>) {
        let mut state = self.shared.state.subscribe();
        let mut buffer = [0; DATAGRAM_LEN_MAX + 1];
        loop {
            tokio::select! {
                biased;
                end = ended(&mut end) => {
                    if end == End::Goodbye {
                        self.say_goodbye().await;
                    }
                    return;
                }
                () = sleep_until(self.peer.due().into()), if self.route.is_open() => {
                    if !std::mem::take(&mut self.hastened) {
                        self.tries_left = self.route.choices().saturating_sub(1);
                    }
                    self.beat().await;
                }
                () = sleep_until(self.figures_due().into()), if !self.asked => {
                    self.asked = true;
                    self.shared.wanted.notify_one();
                }
                Ok(()) = state.changed() => {
                    let heartbeat = self.heartbeat(&state.borrow_and_update());
                    self.peer.consider(&heartbeat, Instant::now());
                }
                event = self.route.next(&mut buffer) => match event {
                    Event::LookupBegun => {}
                    Event::Resolved(result) => self.note_route(result),
                    Event::Heard(Ok(len)) => self.hear(&buffer[..len]),
                    Event::Heard(Err(error)) => self.recover(&error).await,
                },
            }
        }
    }

    fn heartbeat(&self, state: &State) -> Heartbeat {
        heartbeat(&self.shared.profile, state, self.route.local_address())
    }

    fn figures_due(&self) -> Instant {
        let lead = FIGURES_LEAD.min(self.shared.profile.interval / FIGURES_LEAD_SHARE);
        self.peer.due().checked_sub(lead).unwrap_or_else(|| self.peer.due())
    }

    async fn beat(&mut self) {
        self.asked = false;
        if let Some(remedy) = self.peer.take_remedy(Instant::now()) {
            self.remedy(remedy).await;
        }
        let moment = Moment::now();
        let state = self.shared.state.borrow().clone();
        let heartbeat = with_streams(self.heartbeat(&state), &state, self.turn);
        self.turn += 1;
        let sent = match self.peer.beat(&heartbeat, &moment) {
            Ok(datagram) => self.route.send(&datagram).await,
            Err(too_long) => Err(io::Error::other(too_long)),
        };
        self.note_sent(&sent, moment.instant);
        if let Err(error) = sent {
            self.recover(&error).await;
        }
    }

    async fn remedy(&mut self, remedy: Remedy) {
        let changed = match remedy {
            Remedy::Port => {
                tracing::debug!(target = %self.name(), "no acks: another source port is used");
                self.route.rebind().await
            }
            Remedy::Address => {
                if self.status.borrow().error.is_none() {
                    self.complain(SILENT.to_owned());
                }
                self.route.renew().await
            }
        };
        self.note_route(changed);
    }

    /// Tries the target's other addresses at once, each one time; with a single address, a new
    /// source port. Where nobody listens that helps only if something on the way still sends the old
    /// port elsewhere, so it waits for the remedy.
    async fn recover(&mut self, error: &io::Error) {
        self.complain(error.to_string());
        self.peer.note_refusal(Instant::now());
        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
        if refused && self.tries_left == 0 {
            return;
        }
        let renewed = self.route.renew().await;
        if self.tries_left > 0 {
            self.tries_left -= 1;
            self.hastened = true;
            self.peer.hasten(Instant::now());
        }
        if let Err(error) = renewed {
            self.note_route(Err(error));
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let heard = self.peer.hear(bytes, now);
        self.status.send_modify(|status| match heard {
            Ok(()) => {
                status.acks += 1;
                status.error = None;
            }
            Err(Ignored::Malformed | Ignored::OtherSession) => status.acks_unexpected += 1,
            Err(Ignored::UnknownSequence) => status.acks_unexpected += 1,
            Err(Ignored::Forged) => status.acks_forged += 1,
            Err(Ignored::Repeated) => status.acks_repeated += 1,
        });
        self.show(now);
    }

    fn note_sent(&mut self, sent: &io::Result<()>, now: Instant) {
        self.status.send_modify(|status| match sent {
            Ok(()) => status.heartbeats += 1,
            Err(_) => status.send_errors += 1,
        });
        self.show(now);
    }

    fn note_route(&mut self, changed: io::Result<()>) {
        if let Err(error) = changed {
            self.complain(format!("cannot reach the target: {error}"));
        }
        let address = self.route.address();
        self.status.send_modify(|status| status.address = address);
    }

    /// Shows an error until an ack comes, and logs it when it is not the one shown.
    fn complain(&self, error: String) {
        self.status.send_modify(|status| {
            if status.error.as_ref() != Some(&error) {
                tracing::warn!(target = status.target, error, "heartbeats may not arrive");
            }
            status.error = Some(error);
        });
    }

    fn show(&self, now: Instant) {
        let (standing, loss) = (self.peer.standing(), self.peer.loss(now));
        let (registered, address) = (self.peer.is_registered(now), self.route.address());
        self.status.send_modify(|status| {
            if registered != status.registered {
                tracing::info!(target = status.target, registered, "registration changed");
            }
            status.registered = registered;
            status.address = address;
            status.order = standing.order;
            status.order_revision = standing.order_revision;
            status.round_trip = standing.round_trip;
            status.last_ack = standing.last_ack;
            status.loss = loss;
        });
    }

    fn name(&self) -> String {
        self.status.borrow().target.clone()
    }

    async fn say_goodbye(&mut self) {
        let began = tokio::time::Instant::now();
        for offset in GOODBYE_OFFSETS {
            sleep_until(began + offset).await;
            let heartbeat = self.heartbeat(&self.shared.state.borrow().clone());
            if let Ok(datagram) = self.peer.goodbye(heartbeat, &Moment::now())
                && let Err(error) = self.route.send(&datagram).await
            {
                tracing::debug!(target = %self.name(), %error, "a goodbye was not sent");
            }
        }
    }
}

/// Waits for the end; a fleet that is gone wants goodbyes.
async fn ended(end: &mut watch::Receiver<Option<End>>) -> End {
    match end.wait_for(Option::is_some).await {
        Ok(end) => (*end).unwrap_or(End::Goodbye),
        Err(_) => End::Goodbye,
    }
}
