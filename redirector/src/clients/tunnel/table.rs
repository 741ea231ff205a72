//! The sessions of RTMPT: found by an id that nobody can guess, bound to their client, bounded in
//! number and time. It is told the time, and sweeps when it is asked.

use std::{collections::HashMap, fmt, net::IpAddr, str::FromStr, time::Duration};

use crate::{
    network::{Network, PerNetwork},
    shed::longest_waiting,
};

/// A session that is not asked for so long is over.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// So is one that is this old.
pub const AGE_MAX: Duration = Duration::from_secs(60);
/// The most sessions of one network: an IPv4 address or an IPv6 /64.
pub const PER_NETWORK_MAX: usize = 64;
/// Sweeping looks at every session, so it rests in between.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const ID_LEN: usize = 16;

/// A session's id: 128 random bits, 32 hex digits in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; ID_LEN]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Not the id of any session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoId;

impl FromStr for SessionId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * ID_LEN || !text.bytes().all(lower_hex) {
            return Err(NoId);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| NoId)
    }
}

/// Why there is no room for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There are to be none.
    All,
    /// The client's network has as many as it may have.
    Network,
}

/// Every session.
#[derive(Debug)]
pub struct Table<S> {
    sessions: HashMap<SessionId, Entry<S>>,
    per_network: PerNetwork,
    sessions_max: usize,
    swept_at: Duration,
}

#[derive(Debug)]
struct Entry<S> {
    client: IpAddr,
    opened_at: Duration,
    asked_at: Duration,
    session: S,
}

impl<S> Entry<S> {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked_at) >= SILENCE_MAX
            || now.saturating_sub(self.opened_at) >= AGE_MAX
    }
}

impl<S: Clone> Table<S> {
    /// Room for `sessions_max`.
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        Self {
            sessions: HashMap::new(),
            per_network: PerNetwork::default(),
            sessions_max,
            swept_at: Duration::ZERO,
        }
    }

    /// Adds a session of `client`; says how many others were ended for it. Where all places are
    /// taken, those go that nobody has asked for longest: a client asks several times a second, who
    /// only takes places does not.
    ///
    /// # Errors
    /// Where there is no room. An id that is already used is no room either.
    pub fn open(
        &mut self,
        id: SessionId,
        client: IpAddr,
        session: S,
        now: Duration,
    ) -> Result<usize, Full> {
        self.sweep(now);
        let network = Network::from(client);
        if self.sessions_max == 0 || self.sessions.contains_key(&id) {
            return Err(Full::All);
        }
        if self.per_network.count(network) >= PER_NETWORK_MAX {
            return Err(Full::Network);
        }
        let is_full = self.sessions.len() >= self.sessions_max;
        let ended = if is_full { self.end_the_idlest() } else { 0 };
        self.per_network.enter(network);
        self.sessions.insert(id, Entry { client, opened_at: now, asked_at: now, session });
        Ok(ended)
    }

    fn end_the_idlest(&mut self) -> usize {
        let asked_at = |(id, entry): (&SessionId, &Entry<S>)| (entry.asked_at, *id);
        let idlest =
            longest_waiting(self.sessions.iter().map(asked_at).collect(), self.sessions_max);
        idlest.iter().for_each(|(_, id)| self.close(*id));
        idlest.len()
    }

    /// The session of an id, if it is this client's and not over. It counts as asked for.
    pub fn find(&mut self, id: SessionId, client: IpAddr, now: Duration) -> Option<S> {
        self.sweep(now);
        let entry = self.sessions.get_mut(&id).filter(|entry| entry.client == client)?;
        if entry.is_over(now) {
            self.close(id);
            return None;
        }
        entry.asked_at = entry.asked_at.max(now);
        Some(entry.session.clone())
    }

    /// Forgets a session.
    pub fn close(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.remove(&id) {
            self.per_network.leave(entry.client.into());
        }
    }

    /// How many there are.
    pub fn count(&mut self, now: Duration) -> usize {
        self.sweep(now);
        self.sessions.len()
    }

    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        let per_network = &mut self.per_network;
        self.sessions.retain(|_, entry| {
            let over = entry.is_over(now);
            if over {
                per_network.leave(entry.client.into());
            }
            !over
        });
        // What a flood has left behind is given back.
        if self.sessions.is_empty() {
            self.sessions.shrink_to_fit();
            self.per_network.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shed::SHARE;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn id(n: u32) -> SessionId {
        let mut id = [0; ID_LEN];
        id[..4].copy_from_slice(&n.to_be_bytes());
        SessionId(id)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_id_is_32_small_hex_digits() {
        let id = SessionId(std::array::from_fn(|i| i as u8 * 0x11));
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "0", "+0112233445566778899aabbccddeeff", &id.to_string().to_uppercase()] {
            assert_eq!(text.parse::<SessionId>(), Err(NoId), "{text:?}");
        }
    }

    #[test]
    fn a_session_is_found_by_its_client_alone() {
        let mut table = Table::new(10);
        table.open(id(1), CLIENT, 'a', at(0)).expect("room");
        assert_eq!(table.find(id(1), CLIENT, at(1)), Some('a'));
        assert_eq!(table.find(id(1), OTHER, at(1)), None);
        assert_eq!(table.find(id(2), CLIENT, at(1)), None);
        table.close(id(1));
        assert_eq!(table.find(id(1), CLIENT, at(1)), None);
        assert_eq!(table.count(at(1)), 0);
    }

    #[test]
    fn silence_ends_a_session_and_so_does_age() {
        let mut table = Table::new(10);
        table.open(id(1), CLIENT, 'a', at(0)).expect("room");
        table.open(id(2), CLIENT, 'b', at(0)).expect("room");
        for second in (9..60).step_by(9) {
            assert_eq!(table.find(id(2), CLIENT, at(second)), Some('b'), "at {second} s");
        }
        assert_eq!(table.find(id(1), CLIENT, at(55)), None, "nobody asked for it");
        assert_eq!(table.find(id(2), CLIENT, at(60)), None, "it is too old");
        assert_eq!(table.count(at(60)), 0);
        assert!(table.per_network.is_empty());
    }

    #[test]
    fn there_is_no_room_beyond_the_bounds_until_sessions_are_over() {
        let mut table = Table::new(PER_NETWORK_MAX + 1);
        for n in 0..PER_NETWORK_MAX as u32 {
            assert_eq!(table.open(id(n), CLIENT, 'a', at(0)), Ok(0));
        }
        assert_eq!(table.open(id(1_000), CLIENT, 'a', at(0)), Err(Full::Network));
        assert_eq!(table.open(id(1_001), OTHER, 'a', at(0)), Ok(0));
        assert_eq!(table.open(id(1_000), CLIENT, 'a', at(10)), Ok(0), "the others are over");
        assert_eq!(table.count(at(10)), 1);
        let mut none = Table::new(0);
        assert_eq!(none.open(id(1), CLIENT, 'a', at(0)), Err(Full::All));
    }

    #[test]
    fn a_newcomer_takes_the_places_of_those_nobody_has_asked_for_longest() {
        let max = 2 * SHARE as u32;
        let mut table = Table::new(max as usize);
        let other = |n: u32| IpAddr::from([198, 51, 100, (n % 8) as u8]);
        for n in 0..max {
            assert_eq!(table.open(id(n), other(n), n, at(u64::from(n) / 20)), Ok(0));
        }
        assert_eq!(table.find(id(0), other(0), at(7)), Some(0), "the first is alive");
        assert_eq!(table.open(id(1_000), CLIENT, 1_000, at(7)), Ok(2));
        assert_eq!(table.count(at(7)), max as usize - 1, "one place is left for the next");
        assert_eq!(table.find(id(0), other(0), at(7)), Some(0));
        assert_eq!(table.find(id(1_000), CLIENT, at(7)), Some(1_000));
        assert_eq!(
            table.per_network.total(),
            table.sessions.len(),
            "their networks have room again"
        );
    }

    #[test]
    fn who_has_too_many_costs_others_nothing() {
        let mut table = Table::new(PER_NETWORK_MAX);
        for n in 0..PER_NETWORK_MAX as u32 {
            assert_eq!(table.open(id(n), CLIENT, 'a', at(0)), Ok(0));
        }
        assert_eq!(table.open(id(1_000), CLIENT, 'a', at(0)), Err(Full::Network));
        assert_eq!(table.count(at(0)), PER_NETWORK_MAX);
    }

    #[test]
    fn time_that_runs_back_ends_nothing() {
        let mut table = Table::new(1);
        table.open(id(1), CLIENT, 'a', at(100)).expect("room");
        assert_eq!(table.find(id(1), CLIENT, at(50)), Some('a'));
        assert_eq!(table.count(at(0)), 1);
    }
}
