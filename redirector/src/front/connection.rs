//! A connection's life: a place, a PROXY header, the first byte, TLS, and what is spoken.

use std::net::IpAddr;

use tokio::{sync::watch, time::timeout};
use tower::ServiceExt;

use super::{
    Duplex, Reached, RtmpConnection, Shared,
    addresses::Visit,
    figures::{End, Event, Protocol},
    first_byte::{Beginning, Spoken},
    http,
    places::{Place, Taken},
    proxy,
    replay::Replayed,
};

/// What a connection holds while it lives.
pub(super) struct Admitted {
    taken: Taken,
    /// None: a trusted proxy's, which comes for many.
    visit: Option<Visit>,
}

/// Lets a connection in, or says why it is turned away.
pub(super) fn admit(peer: IpAddr, shared: &Shared) -> Result<Admitted, Event> {
    // An address that holds too many must not cost others their places.
    let visit =
        if shared.services.trusts(peer) { None } else { Some(enter_address(peer, shared)?) };
    let taken = shared.places.take().ok_or(Event::ShedNewest)?;
    shared.figures.count(Event::Accepted);
    Ok(Admitted { taken, visit })
}

fn enter_address(peer: IpAddr, shared: &Shared) -> Result<Visit, Event> {
    shared.addresses.enter(peer).ok_or(Event::ShedAddress)
}

/// Serves a connection until it ends, its place is needed, or the front has gone.
pub(super) async fn serve<S: Duplex + 'static>(
    stream: S,
    peer: IpAddr,
    port: u16,
    admitted: Admitted,
    shared: &Shared,
) {
    let _open = shared.figures.open();
    let client = Client { port, place: admitted.taken.place(), shared };
    let ended = tokio::select! {
        ended = client.begin(stream, peer, admitted.visit) => ended,
        () = client.place.shed() => Err(Some(Event::ShedSlowest)),
        () = gone(shared.stopping.clone()) => Ok(()),
    };
    if let Err(Some(event)) = ended {
        shared.figures.count(event);
    }
}

/// Ready when the front has gone.
pub(super) async fn gone(mut stopping: watch::Receiver<bool>) {
    while stopping.changed().await.is_ok() {}
}

/// What stays the same from the first byte to the last.
struct Client<'a> {
    port: u16,
    place: &'a Place,
    shared: &'a Shared,
}

impl Client<'_> {
    /// Up to the first byte of what is spoken.
    async fn begin<S: Duplex + 'static>(
        &self,
        mut stream: S,
        mut peer: IpAddr,
        mut visit: Option<Visit>,
    ) -> Result<(), End> {
        let mut beginning = Beginning::default();
        let first = async {
            if self.shared.services.trusts(peer)
                && let Some(source) = read_proxy_header(&mut beginning, &mut stream).await?
            {
                peer = source;
                visit = Some(enter_address(peer, self.shared)?);
            }
            beginning.decide(stream).await
        };
        let (spoken, stream) = self.in_time(first, Event::HeadTimeouts).await?;
        let ended = match spoken {
            Spoken::Http => self.http(stream, peer, Protocol::Http).await,
            Spoken::Rtmp => self.rtmp(stream, peer, Protocol::Rtmp).await,
            // It needs more room than all else, which others shall not have to hold.
            Spoken::Tls => Box::pin(self.tls(stream, peer)).await,
        };
        drop(visit);
        ended
    }

    /// The handshake, then as before; one layer is enough.
    async fn tls<S: Duplex + 'static>(&self, stream: S, peer: IpAddr) -> Result<(), End> {
        let tls = self.shared.services.tls.as_ref().ok_or(Some(Event::TlsNotConfigured))?;
        let handshake = async { tls.accept(stream).await.map_err(|_| Some(Event::TlsFailed)) };
        let stream = self.in_time(handshake, Event::TlsTimeouts).await?;
        let first = Beginning::default().decide(stream);
        let (spoken, stream) = self.in_time(first, Event::HeadTimeouts).await?;
        match spoken {
            Spoken::Http => self.http(stream, peer, Protocol::Https).await,
            Spoken::Rtmp => self.rtmp(stream, peer, Protocol::Rtmps).await,
            Spoken::Tls => Err(Some(Event::TlsInTls)),
        }
    }

    async fn http<S: Duplex>(
        &self,
        stream: Replayed<S>,
        peer: IpAddr,
        protocol: Protocol,
    ) -> Result<(), End> {
        let reached = self.reached(peer, protocol);
        http::serve(stream, reached, self.place, self.shared).await
    }

    async fn rtmp<S: Duplex + 'static>(
        &self,
        stream: Replayed<S>,
        peer: IpAddr,
        protocol: Protocol,
    ) -> Result<(), End> {
        let service = self.shared.services.rtmp.clone().ok_or(Some(Event::RtmpNotServed))?;
        let connection = RtmpConnection {
            stream: Box::new(stream),
            reached: self.reached(peer, protocol),
            stopping: self.shared.stopping.clone(),
            place: self.place.clone(),
        };
        match service.oneshot(connection).await {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    }

    fn reached(&self, peer: IpAddr, protocol: Protocol) -> Reached {
        self.shared.figures.count_protocol(protocol);
        Reached { peer, port: self.port, scheme: protocol.scheme() }
    }

    /// A step that waits for the client, but not for long, and not when the front stops.
    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, End>>,
        late: Event,
    ) -> Result<T, End> {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            done = timeout(self.shared.limits.head_timeout, step) => done.map_err(|_| Some(late))?,
            _ = stopping.wait_for(|stopping| *stopping) => Err(None),
        }
    }
}

/// For whom a trusted proxy connects, if it says so. The header is taken away.
async fn read_proxy_header<S: Duplex>(
    beginning: &mut Beginning,
    stream: &mut S,
) -> Result<Option<IpAddr>, End> {
    loop {
        match proxy::look_at(beginning.bytes()) {
            Ok(proxy::Seen::Bare) => return Ok(None),
            Ok(proxy::Seen::Header { len, source }) => {
                beginning.skip(len);
                return Ok(source);
            }
            Ok(proxy::Seen::Undecided) => {}
            Err(proxy::Malformed) => return Err(Some(Event::ProxyMalformed)),
        }
        if !beginning.read_more(stream).await.map_err(|_| None)? {
            return Ok(None);
        }
    }
}
