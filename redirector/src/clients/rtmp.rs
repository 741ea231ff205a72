//! Clients over RTMP and RTMPS: moves bytes between a connection and its session, and sees to it
//! that neither takes longer than any client needs.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use rand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tower::service_fn;

use super::{Clients, figures::Lapse, judge::Client, splice::splice};
use crate::{
    front::{Duplex, Place, RtmpConnection, RtmpService, linger},
    rtmp::{Handover, Progress, RANDOM_LEN, RtmpReject, Session, Stage, rejection},
};

/// For the whole handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// For `connect` after that.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For a client that was accepted: in all, and from one of its calls to the next.
const CALLS_MAX: Duration = Duration::from_secs(60);
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What is read at once. A handshake's second half and a `connect` fit.
const BUFFER_LEN: usize = 4_096;

/// Serves the RTMP connections of a [`Front`](crate::front::Front).
#[must_use]
pub fn service(clients: Clients) -> RtmpService {
    let clients = Arc::new(clients);
    RtmpService::new(service_fn(move |connection| {
        let clients = Arc::clone(&clients);
        async move {
            serve(&clients, connection).await;
            Ok::<_, Infallible>(())
        }
    }))
}

/// A session that waits for its first byte.
pub(super) fn new_session() -> Session {
    Session::new(handshake_random())
}

/// What fills a handshake, on either side of it.
pub(super) fn handshake_random() -> [u8; RANDOM_LEN] {
    let mut random = [0; RANDOM_LEN];
    rand::rng().fill_bytes(&mut random);
    random
}

async fn serve(clients: &Clients, connection: RtmpConnection) {
    let RtmpConnection { mut stream, reached, mut stopping, place } = connection;
    let client = Client::new(clients, reached.peer, reached.scheme, reached.port);
    let talk = Talk { stream: &mut *stream, session: new_session(), client, place };
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = talk.serve() => {}
    }
}

/// How a session ended.
enum End {
    /// All is said.
    Said,
    /// The client is an edge's from here on.
    Splice(Box<Handover>),
    /// The client sent what no client sends.
    Rejected(RtmpReject),
    /// The client took too long.
    Late(Lapse),
    /// The client has gone.
    Left,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

/// A connection and its session.
struct Talk<'a> {
    stream: &'a mut dyn Duplex,
    session: Session,
    client: Client<'a>,
    place: Place,
}

impl Talk<'_> {
    async fn serve(mut self) {
        let figures = &self.client.clients.rtmp;
        match self.talk().await {
            End::Said => linger(self.stream).await,
            End::Splice(handover) => self.hand_over(*handover).await,
            End::Rejected(reject) => figures.rejects.count(reject),
            End::Late(lapse) => figures.lapses.count(lapse),
            End::Left => {}
        }
    }

    /// Each stage has a time of its own.
    async fn talk(&mut self) -> End {
        for (stage, time, lapse) in [
            (Stage::Handshake, HANDSHAKE_MAX, Lapse::Handshake),
            (Stage::Connect, CONNECT_MAX, Lapse::Connect),
            (Stage::Calls, CALLS_MAX, Lapse::Calls),
        ] {
            match timeout(time, self.go_beyond(stage)).await {
                Ok(Ok(())) => {}
                Ok(Err(end)) => return end,
                Err(_) => return End::Late(lapse),
            }
        }
        End::Said
    }

    async fn go_beyond(&mut self, stage: Stage) -> Result<(), End> {
        let mut buffer = [0; BUFFER_LEN];
        while self.session.stage() == stage {
            let read = timeout(SILENCE_MAX, self.stream.read(&mut buffer)).await;
            let len = read.map_err(|_| End::Late(Lapse::Calls))??;
            if len == 0 {
                return Err(End::Left);
            }
            self.take(&buffer[..len]).await?;
        }
        Ok(())
    }

    /// Takes what the client sent, and answers.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        let progress = self.session.feed(bytes, &mut self.client).map_err(End::Rejected)?;
        let output = self.session.take_output();
        if !output.is_empty() {
            self.stream.write_all(&output).await?;
            self.stream.flush().await?;
        }
        match progress {
            Progress::Open => Ok(()),
            Progress::Done => Err(End::Said),
            Progress::Splice(handover) => Err(End::Splice(handover)),
        }
    }

    /// Splices the client to an edge, or tells it that there is none.
    async fn hand_over(&mut self, handover: Handover) {
        let transaction = handover.connect.transaction;
        // A verdict to splice always comes with what it needs.
        let Some(plan) = self.client.splice.take() else { return };
        self.place.serve_from_now_on();
        if splice(self.client.clients, self.stream, handover, plan).await.is_err() {
            let said = rejection(transaction, None, "no edge available: none could be reached");
            if self.stream.write_all(&said).await.is_ok() {
                linger(self.stream).await;
            }
        }
    }
}
