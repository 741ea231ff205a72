//! What RTMPT clients ask for, one request after the other, and when.

use std::{net::IpAddr, time::Duration};

use tidegate_redirector::{
    clients::tunnel::{
        call::Call,
        exchange::{Refusal, Reply, Tunnels},
        table::{AGE_MAX, PER_NETWORK_MAX, SessionId},
    },
    rtmp::{Connect, Judge, Session, Verdict as Told},
};

use super::Verdict;

const SESSIONS_MAX: usize = PER_NETWORK_MAX + 2;
/// The most that one reply may hold: all that a session may say, and the interval.
const REPLY_LEN_MAX: usize = 1 + 128 * 1024;
/// C0, C1 and C2.
const HANDSHAKE_LEN: usize = 1 + 2 * 1536;
const EDGE_URL: &str = "rtmp://edge-1.example.com:1935/live";

/// Requests, each a byte that says what and by whom, and a byte with a number. The three lowest
/// bits are what: open, send, idle, close, shake hands, let time pass, break off, or a path as it
/// stands in what follows. The next two are the client, and the rest is how it will be told.
///
/// No client gets anything out of another's session, and neither sessions nor replies go beyond
/// their bounds.
pub fn rtmpt(bytes: &[u8]) -> Verdict {
    let mut scene = Scene {
        tunnels: Tunnels::new(SESSIONS_MAX),
        opened: Vec::new(),
        now: Duration::ZERO,
        asked: 0,
    };
    let mut left = bytes;
    while let [what, number, rest @ ..] = left {
        let body_len = if *what & 7 == 1 { usize::from(*number).min(rest.len()) } else { 0 };
        let (body, rest) = rest.split_at(body_len);
        scene.step(*what, *number, body, rest);
        left = rest;
    }
    scene.everything_ends();
    if scene.asked > 0 { Verdict::Accepted } else { Verdict::Refused }
}

struct Scene {
    tunnels: Tunnels,
    /// Every session there ever was, and whose.
    opened: Vec<(SessionId, IpAddr)>,
    now: Duration,
    /// How many were told where to go.
    asked: u32,
}

impl Scene {
    fn step(&mut self, what: u8, number: u8, body: &[u8], rest: &[u8]) {
        let client = client(what >> 3);
        match what & 7 {
            0 => self.open(client),
            5 => self.now += Duration::from_millis(u64::from(number) * 100),
            6 => {
                let (id, _) = self.session(number);
                self.tunnels.forget(Call::Send(Some(id)), client, self.now);
            }
            7 => {
                let path = String::from_utf8_lossy(rest);
                assert!(path.starts_with('/') || Call::of(&path).is_none(), "{path:?}");
            }
            verb => self.ask(verb, number, client, body, what >> 5),
        }
        assert!(self.tunnels.count(self.now) <= SESSIONS_MAX);
    }

    fn open(&mut self, client: IpAddr) {
        let id = SessionId((self.opened.len() as u128).to_be_bytes());
        let before = self.tunnels.count(self.now);
        match self.tunnels.open(id, client, Session::new([0; 1528]), self.now) {
            Ok(ended) => {
                assert!(ended == 0 || before == SESSIONS_MAX, "there was room");
                assert_eq!(self.tunnels.count(self.now), before - ended + 1);
                self.opened.push((id, client));
            }
            Err(refusal) => assert!(matches!(refusal, Refusal::Full(_)), "{refusal:?}"),
        }
    }

    fn ask(&mut self, verb: u8, number: u8, client: IpAddr, body: &[u8], told: u8) {
        let (id, owner) = self.session(number);
        let path = match verb {
            2 => format!("/idle/{id}/1"),
            3 => format!("/close/{id}/1"),
            _ => format!("/send/{id}/1"),
        };
        let call = Call::of(&path).expect("a path of RTMPT");
        let hello = [&[3][..], &[0; HANDSHAKE_LEN - 1]].concat();
        let body = if verb == 4 { &hello } else { body };
        let mut judge = Says { told, asked: 0 };
        let reply = self.tunnels.exchange(call, body, client, self.now, &mut judge);
        assert!(client == owner || reply == Err(Refusal::NoSession), "another client's session");
        if let Ok(reply) = &reply {
            check_reply(reply);
        }
        // Who was told to go, or has gone, finds nothing any more.
        if judge.asked > 0 && told & 1 == 0 || reply.is_err() || verb == 3 {
            let again = self.tunnels.exchange(call, &[], client, self.now, &mut judge);
            assert_eq!(again, Err(Refusal::NoSession));
        }
        self.asked += judge.asked;
    }

    /// Some session there was; one that never was where there was none.
    fn session(&self, number: u8) -> (SessionId, IpAddr) {
        let place = usize::from(number) % self.opened.len().max(1);
        self.opened.get(place).copied().unwrap_or((SessionId([0xff; 16]), client(0)))
    }

    fn everything_ends(&mut self) {
        self.now += AGE_MAX;
        assert_eq!(self.tunnels.count(self.now), 0);
    }
}

fn check_reply(reply: &Reply) {
    let Reply::Bytes(bytes) = reply else { panic!("nothing was opened") };
    assert!((1..=REPLY_LEN_MAX).contains(&bytes.len()), "{}", bytes.len());
    assert!((0x01..=0x21).contains(&bytes[0]), "{}", bytes[0]);
    assert_eq!(reply.is_empty(), bytes.len() == 1);
}

/// Two of one network, and two others.
fn client(number: u8) -> IpAddr {
    let texts = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1"];
    texts[usize::from(number & 3)].parse().expect("an address")
}

/// Tells everyone to go, or accepts.
struct Says {
    told: u8,
    asked: u32,
}

impl Judge for Says {
    fn connect(&mut self, _: &Connect) -> Told {
        self.asked += 1;
        let url = || Some(EDGE_URL.to_owned());
        match self.told {
            0 => Told::Reject { redirect: url(), description: EDGE_URL.to_owned() },
            1 => Told::Accept { reconnect: None },
            3 => Told::Accept { reconnect: url() },
            _ => Told::Splice,
        }
    }

    fn host(&mut self) -> String {
        "edge-1.example.com".to_owned()
    }
}
