//! A stream from which something was read that others are to read again.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the bytes that were read already, then the stream's own. Writes go straight through.
pub(super) struct Replayed<S> {
    read: Vec<u8>,
    replayed: usize,
    stream: S,
}

impl<S> Replayed<S> {
    pub(super) fn new(read: Vec<u8>, stream: S) -> Self {
        Self { read, replayed: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.read.get(self.replayed..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.replayed += count;
        if self.replayed == self.read.len() {
            // A connection may live long after these bytes.
            (self.read, self.replayed) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first_in_pieces_of_any_size() {
        for piece in 1..8 {
            let (mut client, server) = duplex(64);
            client.write_all(b"rest").await.expect("room");
            client.shutdown().await.expect("open");
            let mut stream = Replayed::new(b"first ".to_vec(), server);
            let mut all = Vec::new();
            let mut bytes = vec![0; piece];
            // Bounded: ten bytes are there.
            for _ in 0..16 {
                let count = stream.read(&mut bytes).await.expect("a read");
                all.extend_from_slice(&bytes[..count]);
            }
            assert_eq!(all, b"first rest");
        }
    }

    #[tokio::test]
    async fn writes_and_the_end_go_through() {
        let (mut client, server) = duplex(64);
        let mut stream = Replayed::new(b"x".to_vec(), server);
        stream.write_all(b"answer").await.expect("room");
        stream.shutdown().await.expect("open");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("an end");
        assert_eq!(answer, b"answer");
    }
}
