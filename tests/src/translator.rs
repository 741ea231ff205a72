//! An address translator (NAT) between an edge and a redirector: the redirector sees the translator's
//! address, and sees another port once the translator has forgotten the flow.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::edge::loopback_socket;

/// How soon a thread sees that it is to end, or that the port changed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longer than any datagram of ours.
const DATAGRAM_LEN_MAX: usize = 2_048;

/// Carries datagrams both ways until it is dropped.
#[derive(Debug)]
pub struct Translator {
    flow: Arc<Flow>,
}

#[derive(Debug)]
struct Flow {
    inside: UdpSocket,
    redirector: SocketAddr,
    /// What the redirector sees; another one after the flow was forgotten.
    outside: Mutex<Arc<UdpSocket>>,
    edge: Mutex<Option<SocketAddr>>,
    ended: AtomicBool,
}

impl Translator {
    /// A translator in front of `redirector`.
    #[track_caller]
    #[must_use]
    pub fn start(redirector: SocketAddr) -> Self {
        let flow = Arc::new(Flow {
            inside: socket(),
            redirector,
            outside: Mutex::new(Arc::new(socket())),
            edge: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        for carry in [Flow::carry_out, Flow::carry_in] {
            let flow = Arc::clone(&flow);
            thread::spawn(move || {
                while !flow.ended.load(Ordering::Relaxed) {
                    carry(&flow);
                }
            });
        }
        Self { flow }
    }

    /// Where the edge is to send.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.flow.inside.local_addr().expect("a bound socket")
    }

    /// The next datagram leaves by another port, and what comes to the old one is lost.
    pub fn forget_flow(&self) {
        *held(&self.flow.outside) = Arc::new(socket());
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        self.flow.ended.store(true, Ordering::Relaxed);
    }
}

impl Flow {
    fn carry_out(&self) {
        let mut buffer = [0; DATAGRAM_LEN_MAX];
        let Ok((len, edge)) = self.inside.recv_from(&mut buffer) else { return };
        *held(&self.edge) = Some(edge);
        let outside = Arc::clone(&held(&self.outside));
        // What a full queue drops, a network would have dropped.
        let _ = outside.send_to(&buffer[..len], self.redirector);
    }

    fn carry_in(&self) {
        let mut buffer = [0; DATAGRAM_LEN_MAX];
        let outside = Arc::clone(&held(&self.outside));
        let Ok((len, _)) = outside.recv_from(&mut buffer) else { return };
        let edge = *held(&self.edge);
        if let Some(edge) = edge {
            let _ = self.inside.send_to(&buffer[..len], edge);
        }
    }
}

fn socket() -> UdpSocket {
    let socket = loopback_socket();
    socket.set_read_timeout(Some(LOOK_EVERY)).expect("a socket that can wait");
    socket
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this")
}
