//! What a connection's first byte says about the rest, and how it is read without taking it away.

use std::io;

use tokio::io::AsyncReadExt;

use super::{Duplex, figures::End, replay::Replayed};

/// Most first requests fit, so looking at the first byte costs no read of its own.
const READ_AT_ONCE: usize = 512;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP, or something that is refused as it would be.
    Http,
    /// RTMP 1.0 section 5.2.2: 3 in the clear, 6 and 8 by clients that take a 3 for an answer.
    Rtmp,
    /// A TLS record of the type handshake (RFC 8446 section 5.1).
    Tls,
}

impl Spoken {
    pub(super) fn by(first_byte: u8) -> Self {
        match first_byte {
            3 | 6 | 8 => Self::Rtmp,
            0x16 => Self::Tls,
            _ => Self::Http,
        }
    }
}

/// The bytes a connection began with.
#[derive(Default)]
pub(super) struct Beginning(Vec<u8>);

impl Beginning {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes away what stands before the first byte that counts.
    pub(super) fn skip(&mut self, len: usize) {
        self.0.drain(..len.min(self.0.len()));
    }

    /// Waits for more bytes. False: no more are coming.
    pub(super) async fn read_more<S: Duplex>(&mut self, stream: &mut S) -> io::Result<bool> {
        self.0.reserve(READ_AT_ONCE);
        Ok(stream.read_buf(&mut self.0).await? > 0)
    }

    /// What is spoken, and the stream as if nothing had been read of it.
    ///
    /// # Errors
    /// The client left without a byte.
    pub(super) async fn decide<S: Duplex>(
        mut self,
        mut stream: S,
    ) -> Result<(Spoken, Replayed<S>), End> {
        if self.0.is_empty() {
            self.read_more(&mut stream).await.map_err(|_| None)?;
        }
        let first_byte = self.0.first().ok_or(None)?;
        Ok((Spoken::by(*first_byte), Replayed::new(self.0, stream)))
    }
}
