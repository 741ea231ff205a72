//! Moves bytes between a client and its edge, both ways at once, until both have ended or nothing
//! moves any more.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::sleep,
};

use crate::rtmp::Relay;

/// A splice in which nothing moves for so long is over.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often that is looked at: a splice may idle for so much longer.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// One for each direction. A connection of 10 Mbit/s fills it 80 times a second.
const BUFFER_LEN: usize = 16 * 1024;

/// What goes to an end before anything that is read.
pub(super) struct First {
    pub(super) to_client: Vec<u8>,
    pub(super) to_edge: Vec<u8>,
}

/// Where bytes are counted.
#[derive(Clone, Copy)]
pub(super) struct Counts<'a> {
    pub(super) to_client: &'a AtomicU64,
    pub(super) to_edge: &'a AtomicU64,
}

/// Copies until both ends have said all, one of them fails, or nothing moves.
pub(super) async fn copy<C, E>(client: C, edge: E, first: First, relay: Relay, counts: Counts<'_>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let moved = AtomicBool::new(true);
    let (mut from_client, mut to_client) = split(client);
    let (mut from_edge, mut to_edge) = split(edge);
    let up = Way { moved: &moved, count: counts.to_edge, relay: Some(relay) };
    let down = Way { moved: &moved, count: counts.to_client, relay: None };
    let both = async {
        tokio::try_join!(
            up.run(&mut from_client, &mut to_edge, &first.to_edge),
            down.run(&mut from_edge, &mut to_client, &first.to_client),
        )
    };
    tokio::select! {
        _ = both => {}
        () = quiet(&moved) => {}
    }
}

/// Ready once nothing has moved for [`IDLE_MAX`].
async fn quiet(moved: &AtomicBool) {
    let mut quiet_for = Duration::ZERO;
    while quiet_for < IDLE_MAX {
        sleep(LOOK_EVERY).await;
        quiet_for =
            if moved.swap(false, Relaxed) { Duration::ZERO } else { quiet_for + LOOK_EVERY };
    }
}

/// One direction.
struct Way<'a> {
    moved: &'a AtomicBool,
    count: &'a AtomicU64,
    /// What rewrites the bytes, as long as it has to.
    relay: Option<Relay>,
}

impl Way<'_> {
    async fn run(
        mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        first: &[u8],
    ) -> io::Result<()> {
        self.pass(to, first).await?;
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            let len = from.read(&mut buffer).await?;
            if len == 0 {
                return to.shutdown().await;
            }
            self.pass(to, &buffer[..len]).await?;
        }
    }

    async fn pass(&mut self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.moved.store(true, Relaxed);
        match &mut self.relay {
            None => to.write_all(bytes).await?,
            Some(relay) => {
                let mut passed = Vec::with_capacity(bytes.len() + 16);
                relay.pass(bytes, &mut passed).map_err(|_| io::ErrorKind::InvalidData)?;
                self.relay.take_if(|relay| relay.is_transparent());
                to.write_all(&passed).await?;
            }
        }
        // TLS keeps what was written until it is told.
        to.flush().await?;
        self.moved.store(true, Relaxed);
        self.count.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }
}
