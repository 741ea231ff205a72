use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    thread::{self, JoinHandle},
};

use super::*;

/// Answers one request for each answer, and hands back the heads of those requests.
fn server(answers: &[&str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    let served = thread::spawn(move || {
        answers
            .iter()
            .map(|answer| served(&listener.accept().expect("a client").0, answer))
            .collect()
    });
    (url, served)
}

fn served(mut client: &TcpStream, answer: &str) -> String {
    let mut head = String::new();
    let mut lines = BufReader::new(client);
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(lines.read_line(&mut head).expect("a request"), 0, "it broke off");
    }
    client.write_all(answer.as_bytes()).expect("answered");
    head
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn login(dir: &tempfile::TempDir) -> Login {
    let password_file = dir.path().join("password");
    fs::write(&password_file, "open sesame\n").expect("written");
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600)).expect("closed");
    Login { user: "me".into(), password_file }
}

const PATIENCE: Duration = Duration::from_secs(10);
const DIGEST: &str =
    "WWW-Authenticate: Digest realm=\"Wowza\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n";

#[test]
fn a_password_is_said_only_when_asked_for_and_as_a_hash_where_that_will_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let basic = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    let both = format!("{basic}{DIGEST}");
    for (asked, said) in [(basic, "Basic bWU6b3BlbiBzZXNhbWU="), (&both, "Digest username=\"me\"")]
    {
        let answers = [answer("401 Unauthorized", asked, ""), answer("200 OK", "", "page")];
        let (url, served) = server(&[&answers[0], &answers[1]]);
        let fetch = Fetch::new(&url, Some(login(&dir)), PATIENCE);
        assert_eq!(fetch.text("/stat?x=1").expect("a page"), "page");
        let heads = served.join().expect("served");
        assert!(!heads[0].to_ascii_lowercase().contains("authorization"), "{}", heads[0]);
        assert!(heads[1].starts_with("GET /stat?x=1 HTTP/1.1\r\n"), "{}", heads[1]);
        let header = |line: &&str| line.to_ascii_lowercase().starts_with("authorization: ");
        let line = heads[1].lines().find(header).expect("it says who asks");
        assert!(line[15..].starts_with(said), "{line}");
        assert!(!said.starts_with("Digest") || line.contains("uri=\"/stat?x=1\""), "{line}");
    }
}

#[test]
fn a_server_that_asks_nothing_is_told_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (url, served) = server(&[&answer("200 OK", "", "page")]);
    let fetch = Fetch::new(&url, Some(login(&dir)), PATIENCE);
    assert_eq!(fetch.text("").expect("a page"), "page");
    let heads = served.join().expect("served");
    assert!(!heads[0].to_ascii_lowercase().contains("authorization"), "{}", heads[0]);
}

#[test]
fn a_refusal_says_what_to_look_at_and_never_the_password() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let asked = answer("401 Unauthorized", DIGEST, "");
    let strange = answer("401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", "");
    let missing = answer("404 Not Found", "", "");
    for (answers, login, hint) in [
        (vec![asked.as_str()], None, "source.user"),
        (vec![&asked, &asked], Some(login(&dir)), "\"me\""),
        (vec![&strange], Some(login(&dir)), "Negotiate"),
        (vec![&missing], None, "switched on"),
    ] {
        let (url, served) = server(&answers);
        let trouble = Fetch::new(&url, login, PATIENCE).text("/x").expect_err("refused");
        assert_eq!(trouble.code, "source_refused");
        assert!(trouble.text.contains(hint) && trouble.text.contains(&url), "{}", trouble.text);
        assert!(!trouble.text.contains("sesame"), "{}", trouble.text);
        served.join().expect("served");
    }
}

#[test]
fn a_server_that_is_not_there_or_says_nothing_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let silent = Fetch::new(&url, None, Duration::from_millis(50));
    let trouble = silent.text("").expect_err("silent");
    assert_eq!(
        (trouble.code.as_str(), trouble.text),
        ("server_down", format!("{url}: no answer in time"))
    );
    drop(listener);
    let trouble = Fetch::new(&url, None, PATIENCE).text("").expect_err("gone");
    assert_eq!(trouble.code, "server_down");
    assert!(trouble.text.contains("is the server running?"), "{}", trouble.text);
}

#[test]
fn json_is_asked_for_by_name_and_from_the_root() {
    let (url, served) = server(&[&answer("200 OK", "", "{}")]);
    let fetch = Fetch::new(&format!("{url}/v2/servers/x"), None, PATIENCE);
    assert_eq!(fetch.json_from_root("/v2/machine").expect("an answer"), "{}");
    let head = served.join().expect("served").remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /v2/machine http/1.1\r\n"), "{head}");
    assert!(head.contains("accept: application/json\r\n"), "{head}");
}

#[test]
fn a_url_is_split_where_its_path_begins() {
    assert_eq!(split_url("http://h:80/a/b?c=/d"), ("http://h:80", "/a/b?c=/d"));
    assert_eq!(split_url("http://h"), ("http://h", "/"));
}

#[test]
fn a_page_is_asked_for_as_configured_and_pages_below_it_with_one_slash() {
    for (tail, path, line) in [
        ("/metrics/", "", "GET /metrics/ HTTP/1.1"),
        ("/stat?x=/", "", "GET /stat?x=/ HTTP/1.1"),
        ("/api/", "/v3", "GET /api/v3 HTTP/1.1"),
    ] {
        let (url, served) = server(&[&answer("200 OK", "", "page")]);
        let fetch = Fetch::new(&format!("{url}{tail}"), None, PATIENCE);
        assert_eq!(fetch.text(path).expect("a page"), "page");
        assert_eq!(served.join().expect("served")[0].lines().next(), Some(line));
    }
}

#[test]
fn what_answers_but_not_by_http_is_unreadable_and_not_down() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for answer in ["\x03\x00\x01 an RTMP server\r\n\r\n", &long] {
        let (url, served) = server(&[answer]);
        let trouble = Fetch::new(&url, None, PATIENCE).text("").expect_err("no HTTP");
        assert_eq!(trouble.code, "source_unreadable", "{}", trouble.text);
        assert!(trouble.text.starts_with(&url), "{}", trouble.text);
        served.join().expect("served");
    }
}
