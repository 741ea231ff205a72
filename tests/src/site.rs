//! A web site of a few fixed pages, on an origin of its own.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const DEADLINE: Duration = Duration::from_secs(10);
/// More lines than any browser's request has.
const LINES_MAX: usize = 200;

/// Served until it is dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Path to content type and content.
pub type Pages = BTreeMap<&'static str, (&'static str, Vec<u8>)>;

impl Site {
    /// Serves pages on a free port of loopback.
    #[track_caller]
    pub fn start(pages: Pages) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pages = Arc::new(pages);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let pages = Arc::clone(&pages);
                // A browser opens connections that it never uses; each waits for itself.
                thread::spawn(move || stream.map(|stream| serve(stream, &pages)));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT/path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, DEADLINE);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request; a client that goes away harms nobody.
fn serve(mut stream: TcpStream, pages: &Pages) -> Option<()> {
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    stream.set_write_timeout(Some(DEADLINE)).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    for line in lines.take(LINES_MAX) {
        if line.ok()?.is_empty() {
            break;
        }
    }
    let target = request.split(' ').nth(1)?;
    let path = target.split('?').next()?;
    let empty = ("text/plain", Vec::new());
    let (status, (kind, body)) = match pages.get(path) {
        Some(page) => ("200 OK", page),
        None => ("404 Not Found", &empty),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}
