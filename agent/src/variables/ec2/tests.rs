use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Instant,
};

use super::*;

const TOKEN: &str = "AQAEAL-token==";
/// Patient with a busy machine.
const PATIENT: Pace =
    Pace { patience: Duration::from_secs(5), tries: 3, pause: Duration::from_millis(5) };
/// For those who never answer.
const HASTY: Pace = Pace { patience: Duration::from_millis(100), ..PATIENT };

/// A metadata service; it ends with the test's process.
struct Service {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Answers each request (its first line and its token) with what `answer` says, byte for byte.
    fn start(bind: &str, answer: impl Fn(&str, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(bind).expect("bound");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("accepted");
                let (line, token) = request(&stream);
                log.lock().expect("not poisoned").push(line.clone());
                // A client that gave up is the other side of what is tested.
                let _ = stream.write_all(answer(&line, &token).as_bytes());
            }
        });
        Self { address, heard }
    }

    /// A service that keeps IMDSv2's rules and gives this for every path.
    fn sound(value: &'static str) -> Self {
        Self::start("127.0.0.1:0", move |line, token| sound(line, token, value))
    }

    fn value(&self) -> Result<String, Ec2Error> {
        let endpoint = format!("http://{}", self.address);
        Metadata::new(&endpoint, PATIENT).expect("an endpoint").value("public-ipv4")
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

fn request(stream: &TcpStream) -> (String, String) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let mut token = String::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(given) = line.strip_prefix("x-aws-ec2-metadata-token:") {
            token = given.trim().to_owned();
        }
        if line == "x-aws-ec2-metadata-token-ttl-seconds: 60" {
            token = "ttl".to_owned();
        }
    }
    (first, token)
}

fn reply(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn sound(line: &str, token: &str, value: &str) -> String {
    match line {
        "PUT /latest/api/token HTTP/1.1" if token == "ttl" => reply("200 OK", TOKEN),
        "GET /latest/meta-data/public-ipv4 HTTP/1.1" if token == TOKEN.to_lowercase() => {
            reply("200 OK", value)
        }
        _ => reply("401 Unauthorized", ""),
    }
}

#[test]
fn a_value_is_asked_with_a_token() {
    let service = Service::sound("203.0.113.7");
    assert_eq!(service.value().as_deref(), Ok("203.0.113.7"));
    let heard = service.heard();
    assert_eq!(heard.len(), 2);
    assert!(heard[0].starts_with("PUT /latest/api/token "), "{heard:?}");
    assert_eq!(Service::sound("203.0.113.7\n").value().as_deref(), Ok("203.0.113.7"));
}

#[test]
fn the_endpoint_may_be_an_ipv6_address_with_a_slash_after_it() {
    let service = Service::start("[::1]:0", |line, token| sound(line, token, "edge.example.com"));
    let endpoint = format!("http://{}/", service.address);
    let metadata = Metadata::new(&endpoint, PATIENT).expect("an endpoint");
    assert_eq!(metadata.value("public-ipv4").as_deref(), Ok("edge.example.com"));
}

#[test]
fn a_service_that_knows_no_tokens_is_never_asked_for_a_value() {
    for status in ["404 Not Found", "405 Method Not Allowed", "403 Forbidden", "401 Unauthorized"] {
        let service = Service::start("127.0.0.1:0", move |line, _| match line {
            line if line.starts_with("GET ") => reply("200 OK", "203.0.113.7"),
            _ => reply(status, "203.0.113.7"),
        });
        let error = service.value().expect_err("IMDSv1");
        assert!(matches!(error, Ec2Error::NoToken { .. }), "{error}");
        assert!(error.to_string().contains(&status[..3]), "{error}");
        assert_eq!(service.heard(), ["PUT /latest/api/token HTTP/1.1"]);
    }
}

#[test]
fn a_token_that_is_refused_is_told() {
    let service = Service::start("127.0.0.1:0", |line, _| match line {
        line if line.starts_with("PUT ") => reply("200 OK", "another"),
        line => sound(line, "another", "203.0.113.7"),
    });
    let status = service.value().expect_err("refused");
    assert!(matches!(status, Ec2Error::Status { status: 401, .. }), "{status}");
    assert!(!status.to_string().contains("another"), "the token is nobody's business");
}

#[test]
fn an_instance_without_a_public_address_is_told_so_at_once() {
    let service = Service::start("127.0.0.1:0", |line, _| match line {
        line if line.starts_with("PUT ") => reply("200 OK", TOKEN),
        _ => reply("404 Not Found", "<html>"),
    });
    assert_eq!(service.value(), Err(Ec2Error::Absent));
    assert_eq!(service.heard().len(), 2, "it will not have one in a second");
}

#[test]
fn what_is_not_one_short_line_is_no_value() {
    let long = "x".repeat(4_097).leak();
    for odd in ["203.0.113.7\r\nX-A: b", "a\nb", "\n", "", "a\0b", long] {
        let error = Service::sound(odd).value().expect_err("odd");
        assert!(matches!(error, Ec2Error::Answer { .. }), "{odd:.20?}: {error}");
    }
    assert!(Service::sound(&long[..4_096]).value().is_ok());
    let endless = Service::start("127.0.0.1:0", |_, _| {
        format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20))
    });
    assert!(matches!(endless.value(), Err(Ec2Error::Answer { .. })));
    let torn = Service::start("127.0.0.1:0", |_, _| reply("200 OK", "a\r\nb: c"));
    assert!(matches!(torn.value(), Err(Ec2Error::Answer { .. })), "a token with two lines");
}

#[test]
fn what_may_pass_is_tried_three_times() {
    let service = Service::start("127.0.0.1:0", |_, _| reply("503 Service Unavailable", ""));
    assert!(matches!(service.value(), Err(Ec2Error::NoToken { status: 503, .. })));
    assert_eq!(service.heard().len(), 3);
}

#[test]
fn a_redirect_is_not_followed() {
    let service = Service::start("127.0.0.1:0", |line, token| match line {
        line if line.starts_with("PUT ") => sound(line, token, ""),
        _ => "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    assert!(matches!(service.value(), Err(Ec2Error::Status { status: 302, .. })));
    assert_eq!(service.heard().len(), 2);
}

#[test]
fn nobody_there_and_nobody_answering_end_in_time() {
    let free = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let error = Metadata::new(&format!("http://{free}"), PATIENT).expect("an endpoint");
    let error = error.value("public-ipv4").expect_err("nobody");
    assert!(error.to_string().contains("connection refused"), "{error}");

    // Bound and never accepted: the kernel takes the connection and nobody answers.
    let mute = TcpListener::bind("127.0.0.1:0").expect("bound");
    let endpoint = format!("http://{}", mute.local_addr().expect("bound"));
    let began = Instant::now();
    let error =
        Metadata::new(&endpoint, HASTY).expect("an endpoint").value("mac").expect_err("mute");
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert!(error.to_string().contains("hop limit"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let whole = PACE.patience * 2 * PACE.tries + PACE.pause * (PACE.tries - 1);
    assert!(whole <= Duration::from_secs(7), "{whole:?}");
}

#[test]
fn a_body_that_trickles_does_not_hold_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.expect("accepted");
            request(&stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n1");
            // Returns when the client gives up.
            let _ = stream.read(&mut [0; 8]);
        }
    });
    let error = Metadata::new(&endpoint, HASTY).expect("an endpoint").value("mac");
    assert!(matches!(error, Err(Ec2Error::Silent { .. })), "{error:?}");
}

#[test]
fn only_a_plain_place_is_an_endpoint() {
    for endpoint in ["http://169.254.169.254", "http://[fd00:ec2::254]/", "http://imds.test:8080"] {
        assert!(is_endpoint(endpoint), "{endpoint}");
    }
    for endpoint in [
        "",
        "169.254.169.254",
        "https://x",
        "http://",
        "http://x/y",
        "http://a@x",
        "http://x/?y",
        "http://x#y",
    ] {
        assert!(!is_endpoint(endpoint), "{endpoint}");
        assert!(Metadata::new(endpoint, PATIENT).is_err());
    }
    let of = |value: &'static str| Metadata::of_environment(move |_| Some(value.to_owned()));
    assert_eq!(of("").expect("the default").endpoint, ENDPOINT_DEFAULT);
    assert!(of("ftp://x").expect_err("refused").to_string().contains(ENDPOINT_VARIABLE));
}

#[test]
fn paths_stay_below_the_metadata() {
    for path in ["public-ipv4", "tags/instance/Name", "network/interfaces/macs/02:29:96:8f/ipv6s"] {
        assert!(is_path(path), "{path}");
    }
    for path in
        ["", "/a", "a/", "a//b", "../user-data", "a/./b", "a%2e", "a#b", "ä", &"a".repeat(201)]
    {
        assert!(!is_path(path), "{path}");
    }
}
