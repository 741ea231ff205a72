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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{DuplexStream, duplex},
        task::JoinHandle,
        time::Instant,
    };

    use super::*;
    use crate::rtmp::{Connect, Judge, Progress, Session, Verdict, amf0::Writer};

    struct Splices;

    impl Judge for Splices {
        fn connect(&mut self, _: &Connect) -> Verdict {
            Verdict::Splice
        }

        fn host(&mut self) -> String {
            String::new()
        }
    }

    fn relay() -> Relay {
        let connect = Writer::default().text(b"connect").number(1.0).begin();
        let connect = connect.pair("app", "live").end().finish();
        let len = u8::try_from(connect.len()).expect("one chunk");
        let header = [3, 0, 0, 0, 0, 0, len, 20, 0, 0, 0, 0];
        let client = [&[3; 1 + 2 * 1536][..], &header, &connect].concat();
        match Session::new([0; 1528]).feed(&client, &mut Splices) {
            Ok(Progress::Splice(handover)) => handover.into_relay().0,
            other => panic!("{other:?}"),
        }
    }

    /// A client, an edge, and how long they were connected.
    fn splice() -> (DuplexStream, DuplexStream, JoinHandle<Duration>) {
        let (client, ours) = duplex(1_024);
        let (theirs, edge) = duplex(1_024);
        let copying = tokio::spawn(async move {
            let (to_client, to_edge) = (AtomicU64::new(0), AtomicU64::new(0));
            let counts = Counts { to_client: &to_client, to_edge: &to_edge };
            let first = First { to_client: Vec::new(), to_edge: Vec::new() };
            let started = Instant::now();
            copy(ours, theirs, first, relay(), counts).await;
            started.elapsed()
        });
        (client, edge, copying)
    }

    fn check_idle(lasted: Duration, moved: Duration) {
        let idle = lasted - moved;
        assert!((IDLE_MAX..=IDLE_MAX + 2 * LOOK_EVERY).contains(&idle), "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_splice_in_which_nothing_moves_is_over() {
        let (_client, _edge, copying) = splice();
        check_idle(copying.await.expect("no panic"), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_direction_keeps_the_other() {
        let (mut client, mut edge, copying) = splice();
        for _ in 0..10 {
            sleep(Duration::from_secs(50)).await;
            edge.write_all(b"media").await.expect("an open splice");
            client.read_exact(&mut [0; 5]).await.expect("an open splice");
        }
        check_idle(copying.await.expect("no panic"), Duration::from_secs(500));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_idle() {
        let (_client, mut edge, copying) = splice();
        let flood = tokio::spawn(async move { edge.write_all(&[0; 1_000_000]).await.is_err() });
        check_idle(copying.await.expect("no panic"), Duration::ZERO);
        assert!(flood.await.expect("no panic"), "the edge's connection ended");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_passed_on_and_the_other_direction_goes_on() {
        let (mut client, mut edge, copying) = splice();
        client.shutdown().await.expect("an open splice");
        assert_eq!(edge.read(&mut [0; 1]).await.expect("an open splice"), 0);
        edge.write_all(b"last").await.expect("an open splice");
        client.read_exact(&mut [0; 4]).await.expect("an open splice");
        drop(edge);
        assert_eq!(copying.await.expect("no panic"), Duration::ZERO);
    }
}
