//! The handshake as a client shakes hands, for a connection to an edge.

use super::{
    RtmpReject,
    handshake::{PART_LEN, RANDOM_LEN, VERSION, hello, take},
};

/// A handshake with an edge.
#[derive(Debug)]
pub struct Dial {
    received: Vec<u8>,
    output: Vec<u8>,
}

impl Dial {
    /// A handshake that says C0 and C1 at once. `random` fills it.
    #[must_use]
    pub fn new(random: [u8; RANDOM_LEN]) -> Self {
        let mut output = Vec::with_capacity(1 + PART_LEN);
        hello(&random, &mut output);
        Self { received: Vec::new(), output }
    }

    /// What is to be sent, taken out: to be asked at the start and after each piece fed.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes what the edge sent, in pieces of any size. Once S0, S1 and S2 are in, returns what
    /// came behind them; after that there is nothing to be fed.
    ///
    /// # Errors
    /// [`RtmpReject::Version`].
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Vec<u8>>, RtmpReject> {
        let before = self.received.len();
        take(&mut bytes, 1 + 2 * PART_LEN - before, |part| self.received.extend(part));
        if self.received.first().is_some_and(|version| *version != VERSION) {
            return Err(RtmpReject::Version);
        }
        let now = self.received.len();
        if before <= PART_LEN && now > PART_LEN {
            self.output.extend(&self.received[1..=PART_LEN]);
        }
        Ok((now == 1 + 2 * PART_LEN).then(|| bytes.to_vec()))
    }
}
