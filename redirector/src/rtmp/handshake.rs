//! The handshake as a server shakes hands (RTMP 1.0, 5.2): simple, without digests, which every
//! client puts up with.

use super::RtmpReject;

/// The version this side speaks, whatever the client asks for.
pub(super) const VERSION: u8 = 3;
/// The length of C1, C2, S1 and S2, in bytes.
pub(super) const PART_LEN: usize = 1536;
/// How much of C1 or S1 is random; a time and four zero bytes come first.
pub const RANDOM_LEN: usize = 1528;

/// Versions a client may ask for: plain, and two kinds of encryption that all who offer them do
/// without.
const VERSIONS: [u8; 3] = [3, 6, 8];

/// What this side sends first: its version, then S1 or C1. Four of its bytes must be zero: a client
/// takes anything else for the promise of a digest.
pub(super) fn hello(random: &[u8; RANDOM_LEN], out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend([0; PART_LEN - RANDOM_LEN]);
    out.extend(random);
}

/// A handshake under way.
#[derive(Debug)]
pub(super) enum Handshake {
    /// C0 and C1 are coming.
    First { random: Box<[u8; RANDOM_LEN]>, received: Vec<u8> },
    /// S0, S1 and S2 are said; this much of C2 is to come. What it says does not matter.
    Second { left: usize },
}

impl Handshake {
    pub(super) fn new(random: [u8; RANDOM_LEN]) -> Self {
        Self::First { random: Box::new(random), received: Vec::new() }
    }

    /// How many bytes it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::First { received, .. } => RANDOM_LEN + received.capacity(),
            Self::Second { .. } => 0,
        }
    }

    /// Takes its part of `input`; true once it is over.
    pub(super) fn feed(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, RtmpReject> {
        if let Self::First { random, received } = self {
            take(input, 1 + PART_LEN - received.len(), |part| received.extend(part));
            let Some((version, c1)) = received.split_first() else { return Ok(false) };
            if !VERSIONS.contains(version) {
                return Err(RtmpReject::Version);
            }
            if c1.len() < PART_LEN {
                return Ok(false);
            }
            hello(random, out);
            out.extend(c1);
            *self = Self::Second { left: PART_LEN };
        }
        if let Self::Second { left } = self {
            *left -= take(input, *left, |_| ());
            return Ok(*left == 0);
        }
        Ok(false)
    }
}

/// Moves up to `len_max` bytes out of `input`; says how many.
pub(super) fn take<'a>(input: &mut &'a [u8], len_max: usize, to: impl FnOnce(&'a [u8])) -> usize {
    let (taken, rest) = input.split_at(len_max.min(input.len()));
    *input = rest;
    to(taken);
    taken.len()
}
