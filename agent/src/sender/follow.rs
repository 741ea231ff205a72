//! Follows what may change under a running edge: where clients are sent, and what its link carries.

use std::{sync::Arc, time::Duration};

use tidegate_proto::edge::Host;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

use super::Shared;
use crate::link_speed::{Link, UnknownSpeed};

/// A link whose speed is known is looked at again after this, and one whose is not after
/// [`UNKNOWN_SPEED_EVERY`].
const SPEED_EVERY: Duration = Duration::from_secs(10);
const UNKNOWN_SPEED_EVERY: Duration = Duration::from_secs(1);

/// Says where clients are sent, or why it cannot; may block.
pub(super) type Ask = Box<dyn FnMut() -> Result<Host, String> + Send>;

/// Asks again and again where clients are sent. Without an answer the last one stands: an edge that
/// is not found is worse than one that is looked for where it was.
pub(super) async fn redirect(
    shared: Arc<Shared>,
    mut ask: Ask,
    every: Duration,
    mut stopped: watch::Receiver<()>,
) {
    let mut turns = interval_at(Instant::now() + every, every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut fault = None;
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            _ = turns.tick() => {}
        }
        let asked = spawn_blocking(move || {
            let answer = ask();
            (ask, answer)
        });
        let Ok((back, answer)) = asked.await else {
            tracing::error!("asking where clients are sent broke down; it is no longer asked");
            return;
        };
        ask = back;
        note_redirect(&shared, answer, &mut fault);
    }
}

fn note_redirect(shared: &Shared, answer: Result<Host, String>, fault: &mut Option<String>) {
    let host = match answer {
        Ok(host) => host,
        Err(why) => {
            if fault.as_ref() != Some(&why) {
                tracing::warn!(fault = why, "clients are sent to the address known before");
            }
            *fault = Some(why);
            return;
        }
    };
    *fault = None;
    shared.state.send_if_modified(|state| {
        let changed = state.redirect.as_ref() != Some(&host);
        if changed {
            tracing::info!(redirect_address = %host, "clients are sent elsewhere from now on");
            state.redirect = Some(host);
        }
        changed
    });
}

/// Keeps the link's speed known.
pub(super) async fn link(shared: Arc<Shared>, link: Link, mut stopped: watch::Receiver<()>) {
    let mut warned = false;
    loop {
        let first = shared.board.borrow().first().and_then(|target| target.borrow().address);
        let asked = link.clone();
        let read = spawn_blocking(move || asked.speed_bps(|| first));
        let Ok(speed) = read.await else { return };
        // Until the first target's name is resolved nothing is wrong.
        let is_early = first.is_none() && speed == Err(UnknownSpeed::NoInterface);
        if !warned
            && !is_early
            && let Err(why) = &speed
        {
            tracing::warn!(%why, "the capacity stays unknown");
            warned = true;
        }
        let known = speed.ok();
        shared.state.send_if_modified(|state| {
            let changed = state.link_bps != known;
            state.link_bps = known;
            changed
        });
        tokio::select! {
            _ = stopped.changed() => return,
            () = sleep(if known.is_some() { SPEED_EVERY } else { UNKNOWN_SPEED_EVERY }) => {}
        }
    }
}
