//! What is not RTMP, or more of it than anybody sends, is refused, counted, and harms nobody else.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tidegate_tests::{
    credentials::write_certificates,
    http,
    media::nginx::Nginx,
    process::resident_bytes,
    programs::Redirector,
    rtmp::{
        amf::{self, Value},
        chunk::{Message, SIZE_DEFAULT, Writer, kind},
        client::{Answer, Client, HANDSHAKE_LEN},
        follow::rejected,
        url::RtmpUrl,
    },
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

const REFUSED: &str = "tidegate_rtmp_refused_total";
const SOCKETS: usize = 2_000;
/// 32 KiB for each of the sockets.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// The stages before an answer have 5 s each; the rest is for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// A whole handshake as a client may send it at once.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend([0; 2 * HANDSHAKE_LEN]);
    bytes
}

/// The chunks of one message on the connection's own stream.
fn chunks(kind: u8, payload: Vec<u8>) -> Vec<u8> {
    let message = Message { chunk_stream: 3, timestamp: 0, kind, stream: 0, payload };
    Writer::default().full(&message)
}

fn command(values: &[Value], more: &[u8]) -> Vec<u8> {
    chunks(kind::COMMAND, [amf::encode(values), more.to_vec()].concat())
}

fn connect_to(app: &str) -> Vec<u8> {
    let object =
        Value::object([("app", Value::text(app)), ("tcUrl", Value::text("rtmp://h.example/a"))]);
    command(&[Value::text("connect"), Value::Number(1.0), object], &[])
}

/// `connect` whose object is these bytes.
fn connect_with(object: &[u8]) -> Vec<u8> {
    command(&[Value::text("connect"), Value::Number(1.0)], object)
}

/// The first chunk of a message on each of many chunk streams, and the end of none.
fn begun_messages() -> Vec<u8> {
    let message = |chunk_stream| {
        let (kind, payload) = (kind::COMMAND, vec![0; 200]);
        Message { chunk_stream, timestamp: 0, kind, stream: 0, payload }
    };
    let first = |id| Writer::default().full(&message(id))[..12 + SIZE_DEFAULT].to_vec();
    (3..63).flat_map(first).collect()
}

/// Sends bytes and reads until the other side closes, which it must.
fn closes(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let began = Instant::now();
    let mut stream = http::connect(address).expect("a connection");
    // A server may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(began.elapsed() < CLOSED_WITHIN, "it was left open: {end:?}");
    answer
}

#[test]
fn each_kind_of_nonsense_ends_its_session_and_has_a_counter() {
    let server = Nginx::start();
    let mut scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let client = scene.redirector.ports().client;
    let nested = [vec![0x03], [0, 1, b'a', 0x03].repeat(4_000)].concat();
    let huge_message = [&[0x03, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0][..], &[0; 64]].concat();
    for (reason, after_handshake) in [
        ("chunk_size", chunks(kind::SET_CHUNK_SIZE, vec![0; 4])),
        ("chunk_size", chunks(kind::SET_CHUNK_SIZE, vec![0xff; 4])),
        ("chunk_size", chunks(kind::SET_CHUNK_SIZE, vec![0; 3])),
        ("message_too_long", huge_message),
        (
            "message_too_long",
            [
                chunks(kind::SET_CHUNK_SIZE, vec![0x7f, 0xff, 0xff, 0xff]),
                chunks(kind::COMMAND, vec![2; 60_000]),
            ]
            .concat(),
        ),
        ("header_missing", vec![0xc3; 64]),
        ("amf_depth", connect_with(&nested)),
        ("amf_malformed", connect_with(&[0x0a, 0xff, 0xff, 0xff, 0xff])),
        ("amf_malformed", connect_with(&[0x03, 0, 3, b'a', b'p', b'p', 2, 0xff, 0xff])),
        ("amf_marker", connect_with(&[0x03, 0, 1, b'a', 0x77])),
        ("control_character", connect_to("live\r\nSet-Cookie: a")),
        ("text_too_long", connect_to(&"x".repeat(5_000))),
        ("not_connect", command(&[Value::text("createStream"), Value::Number(1.0)], &[])),
        ("too_many_chunk_streams", begun_messages()),
    ] {
        let before = scene.redirector.metrics().sum(REFUSED, &[("reason", reason)]);
        let answer = closes(client, &[handshake(), after_handshake].concat());
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("redirect"), "{reason}: redirected");
        eventually(SOON, &format!("{reason} is counted"), || {
            let metrics = scene.redirector.metrics();
            let counted = metrics.sum(REFUSED, &[("reason", reason)]) - before;
            if counted == 1.0 {
                Ok(())
            } else {
                Err(format!("{:?}", metrics.by(REFUSED, "reason")))
            }
        });
    }
    assert!(scene.redirector.process().is_running());
    assert!(rejected(&url(&scene.redirector), None).redirect().is_ok(), "others are served");
    let log = scene.redirector.output();
    assert!(!log.contains("panicked") && !log.contains("Set-Cookie"), "{log}");
}

fn url(redirector: &Redirector) -> RtmpUrl {
    let client = redirector.ports().client;
    RtmpUrl::of(&format!("rtmp://{client}/live"), "cam").expect("a URL")
}

#[test]
fn an_array_that_counts_to_four_thousand_million_costs_nothing() {
    let server = Nginx::start();
    let mut scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let client = scene.redirector.ports().client;
    let pid = scene.redirector.process().pid();
    let before = resident_bytes(pid);
    for marker in [0x08, 0x0a] {
        for _ in 0..200 {
            closes(
                client,
                &[handshake(), connect_with(&[marker, 0xff, 0xff, 0xff, 0xff])].concat(),
            );
        }
    }
    eventually(SOON, "every one of them is refused", || {
        let metrics = scene.redirector.metrics();
        let refused = metrics.sum(REFUSED, &[("reason", "amf_malformed")]);
        if refused == 400.0 { Ok(()) } else { Err(format!("{:?}", metrics.by(REFUSED, "reason"))) }
    });
    let grown = resident_bytes(pid).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "it grew by {grown} bytes");
    assert!(scene.redirector.process().is_running());
}

#[test]
fn junk_in_other_protocols_is_closed_and_never_redirected() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let with_tls = Redirector::start_with_tls("", folder.path());
    let open = "POST /open/1 HTTP/1.1\r\nHost: r.example\r\nContent-Type: application/x-fcs\r\n\
                Content-Length: 1\r\n\r\n\0";
    let post = |target: &str, len: &str, body: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: r.example\r\nContent-Type: application/x-fcs\r\n\
             Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    };
    for mut scene in [Scene::of(&["edge-1"]), Scene::around(with_tls, &["edge-1"])] {
        let client = scene.redirector.ports().client;
        for junk in [
            [&[0x16, 3, 1, 2, 0][..], &[0xaa; 512]].concat(),
            [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 100]].concat(),
            vec![0x80; 700],
            vec![5; 2_000],
            vec![0; 2_000],
            b"SSH-2.0-client\r\n".to_vec(),
            format!("{open}{}", "\u{1}".repeat(4_000)).into_bytes(),
            post("/send/nobody/1", "1", "\0"),
            post("/idle/nobody/1", "1", "\0"),
            post("/send/nobody/1", "1000000000", ""),
            post("/send/../../1", "1", "\0"),
            post("/open/1", "99999999999999999999", ""),
        ] {
            let answer = closes(client, &junk);
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.contains("302") && !text.contains("307"), "{junk:?}: {text}");
        }
        assert!(scene.redirector.process().is_running());
        assert_eq!(sent_to(&scene.redirector.get("/a")), "edge-1");
        let log = scene.redirector.output();
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[test]
fn thousands_of_stalled_connections_stop_nobody_and_are_closed() {
    let server = Nginx::start();
    let limit = (SOCKETS + 500).to_string();
    let redirector = Redirector::start_with(&[("client-connections-max", limit.as_str())]);
    let mut scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let client = scene.redirector.ports().client;
    let pid = scene.redirector.process().pid();
    let before = resident_bytes(pid);
    let whole = handshake();
    let half_connect = connect_to("live");
    let stalls: [&[u8]; 6] = [
        &[],
        &whole[..1],
        &whole[..700],
        &whole,
        &[&whole[..], &half_connect[..20]].concat(),
        b"POST /send/x/1 HTTP/1.1\r\nContent-Le",
    ];
    let began = Instant::now();
    let mut slow: Vec<TcpStream> =
        (0..SOCKETS).map(|n| stalled(client, stalls[n % stalls.len()])).collect();
    let peak = resident_bytes(pid);
    let grown = peak.saturating_sub(before);
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(scene.redirector.get("/live/cam/playlist.m3u8").status, 302);
        let rejection = rejected(&url(&scene.redirector), None);
        assert!(rejection.redirect().is_ok(), "{rejection:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "others waited {:?}", asked.elapsed());
    for stream in &mut slow {
        let mut rest = Vec::new();
        // An end without an error, or a reset: both are closed. What is left is the handshake.
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("redirect"), "a half was answered");
    }
    let took = began.elapsed();
    eprintln!("{SOCKETS} stalled connections took {} KiB and {took:.1?}", grown / 1_024);
    assert!(took < CLOSED_WITHIN, "{took:?}");
    assert!(grown < GROWTH_BYTES_MAX, "{before} bytes, then {peak}");
    eventually(SOON, "every connection is let go", || {
        let open = scene.redirector.metrics().sum("tidegate_connections_open", &[]);
        if open == 0.0 { Ok(()) } else { Err(format!("{open} are open")) }
    });
    assert!(scene.redirector.process().is_running());
}

fn stalled(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = http::connect(address).expect("a connection");
    stream.write_all(bytes).expect("sent");
    stream
}

#[test]
fn odd_but_proper_clients_are_answered() {
    let server = Nginx::start();
    let scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let url = url(&scene.redirector);
    let mut client = Client::open(&url, None).expect("a handshake");
    assert!(client.echoed, "S2 is C1");
    client.set_chunk_size(4_096).expect("sent");
    let Ok(Answer::Rejected(rejection)) = client.connect(&url) else { panic!("not rejected") };
    assert!(rejection.redirect().is_ok(), "{rejection:?}");

    // Byte by byte; and as a message of type 17, which begins with the number of a format.
    let payload = |bytes: Vec<u8>| bytes[12..].to_vec();
    let plain = connect_to("live");
    let mut typed = plain.clone();
    typed[7] = 17;
    let len = u8::try_from(payload(plain.clone()).len() + 1).expect("a short message");
    typed[6] = len;
    typed.insert(12, 0);
    for (bytes, pause) in [(plain, true), (typed, false)] {
        let mut stream = http::connect(scene.redirector.ports().client).expect("a connection");
        for piece in handshake().chunks(997) {
            stream.write_all(piece).expect("sent");
        }
        for piece in bytes.chunks(if pause { 1 } else { bytes.len() }) {
            stream.write_all(piece).expect("sent");
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer and an end");
        let text = String::from_utf8_lossy(&answer[1 + 2 * HANDSHAKE_LEN..]).into_owned();
        assert!(text.contains("_error") && text.contains("close"), "{text:?}");
    }
}
