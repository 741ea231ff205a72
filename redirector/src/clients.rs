//! Clients, by what they speak: each module takes the question out of a protocol, asks
//! [`answer`](crate::answer), and replies.

pub mod figures;
pub mod http;
mod judge;
pub mod loop_guard;
pub mod rtmp;
pub mod splice;
pub mod tunnel;

use std::sync::Arc;

use tidegate_control::{clock::Clock, publish::Published};

use self::{
    figures::RtmpFigures, loop_guard::LoopGuard, splice::Splices, tunnel::exchange::Tunnels,
};
use crate::{
    answer::{Kind, Rules},
    figures::Counters,
};

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The fleet.
    pub published: Arc<Published>,
    /// The operator's rules.
    pub rules: Arc<Rules>,
    /// The time.
    pub clock: Clock,
    /// What was answered over HTTP.
    pub figures: Arc<Counters<Kind>>,
    /// What RTMP clients were told, and what became of them.
    pub rtmp: Arc<RtmpFigures>,
    /// Who was redirected over RTMP of late.
    pub loop_guard: Arc<LoopGuard>,
    /// The sessions of RTMPT.
    pub tunnels: Arc<Tunnels>,
    /// The places for splices.
    pub splices: Arc<Splices>,
}

/// What RTMP clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtmpLimits {
    /// Redirects a second for one client and application; 0: no limit.
    pub redirects_per_second: u32,
    /// Redirects before that rate counts.
    pub redirects_burst: u32,
    /// Sessions of RTMPT at once.
    pub rtmpt_sessions_max: usize,
    /// Splices at once.
    pub splices_max: usize,
}

impl Default for RtmpLimits {
    fn default() -> Self {
        Self {
            redirects_per_second: 20,
            redirects_burst: 200,
            rtmpt_sessions_max: 4_096,
            splices_max: 1_000,
        }
    }
}

impl Clients {
    /// With figures that begin at 0.
    #[must_use]
    pub fn new(
        published: Arc<Published>,
        rules: Arc<Rules>,
        clock: Clock,
        limits: RtmpLimits,
    ) -> Self {
        let RtmpLimits { redirects_per_second, redirects_burst, .. } = limits;
        Self {
            published,
            rules,
            clock,
            figures: Arc::default(),
            rtmp: Arc::default(),
            loop_guard: Arc::new(LoopGuard::new(redirects_per_second, redirects_burst)),
            tunnels: Arc::new(Tunnels::new(limits.rtmpt_sessions_max)),
            splices: Arc::new(Splices::new(limits.splices_max)),
        }
    }

    /// The sessions of RTMPT that are open.
    #[must_use]
    pub fn tunnels_open(&self) -> u64 {
        self.tunnels.count(self.clock.now().monotonic) as u64
    }
}
