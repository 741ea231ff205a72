//! The program as an operator runs it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidegate_proto::{
    datagram::{Kind, parse},
    key::format_fleet_key,
    seal::FleetKey,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with everything an agent needs, and the socket it reports to.
struct Place {
    dir: TempDir,
    redirector: UdpSocket,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let redirector = UdpSocket::bind("127.0.0.1:0").expect("bound");
        redirector.set_read_timeout(Some(PATIENCE)).expect("set");
        let port = redirector.local_addr().expect("bound").port();
        let place = Self { dir, redirector };
        let key = format_fleet_key(&FleetKey::from_bytes([1; 32]));
        place.write("targets", &format!("127.0.0.1,{port},{}\n", *key), 0o600);
        place.write("load.json", "{\"viewers\": 12}", 0o644);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("mode set");
    }

    fn agent(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-agent"));
        command
            .env("TIDEGATE_AGENT__NAME", "edge-1")
            .env("TIDEGATE_AGENT__CONTROL__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE_AGENT__STATE_DIR", self.path("state"))
            .env("TIDEGATE_AGENT__TARGETS_FILE", self.path("targets"))
            .env("TIDEGATE_AGENT__SOURCE__KIND", "file")
            .env("TIDEGATE_AGENT__SOURCE__PATH", self.path("load.json"))
            .env("TIDEGATE_AGENT__UNKNOWN", "ignored");
        command
    }

    fn run(&self, flags: &[&str]) -> Output {
        self.agent().args(flags).output().expect("ran")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn wait_for(path: &Path) -> String {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} was not written", path.display());
}

fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // The process may be gone already, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_reports_obeys_and_leaves_with_a_goodbye() {
    let place = Place::new();
    let (mut agent, address) = started(&place);
    let address = address.as_str();

    let mut buffer = [0; 2_048];
    let len = place.redirector.recv(&mut buffer).expect("a heartbeat");
    assert_eq!(parse(&buffer[..len]).expect("well formed").header.kind, Kind::Heartbeat);
    // The heartbeat may be here before the sender has counted it.
    let ready = (0..500).any(|_| asked(address, "GET /readyz").starts_with("HTTP/1.1 200"));
    assert!(ready, "a heartbeat was sent and the agent never became ready");
    assert!(asked(address, "POST /pause").contains("\"paused\":true"));

    let killed = Command::new("kill").arg(agent.0.id().to_string()).status().expect("kill ran");
    assert!(killed.success());
    assert_eq!(agent.0.wait().expect("ended").code(), Some(0));
    let goodbyes = (0..3).filter(|_| {
        let heard = (0..50).map(|_| {
            let len = place.redirector.recv(&mut buffer).expect("a datagram");
            parse(&buffer[..len]).expect("well formed").header.kind
        });
        heard.into_iter().any(|kind| kind == Kind::Goodbye)
    });
    assert_eq!(goodbyes.count(), 3);
}

#[test]
fn once_prints_what_would_be_sent_and_writes_nothing() {
    let place = Place::new();
    let output = place.run(&["--once", "--print", "--capacity-viewers", "4000"]);
    assert!(output.status.success(), "{}", said(&output));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["name"], "edge-1");
    assert_eq!(shown["viewers"], 12);
    assert_eq!(shown["redirect_address"], "127.0.0.1");
    assert_eq!(shown["capacity"]["viewers"], 4_000);
    assert!(shown["publishers"].is_null() && shown["trouble"].is_null());
    assert!(!place.path("state").exists());
    place.redirector.set_nonblocking(true).expect("set");
    assert!(place.redirector.recv(&mut [0; 8]).is_err(), "something was sent");

    let text = "{\"viewers\": 12, \"streams\": {\"live/a\": 12, \"vod/b\": 0}}";
    place.write("load.json", text, 0o644);
    let output = place.run(&["--once", "--print"]);
    let named: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(shown["streams"].is_null(), "streams that are not named are unknown");
    assert_eq!(named["streams"], serde_json::json!({"live/a": 12, "vod/b": 0}));

    fs::remove_file(place.path("load.json")).expect("removed");
    let output = place.run(&["--once", "--print"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["trouble"]["code"], "source_missing");
    assert!(shown["viewers"].is_null());
}

#[test]
fn check_reads_targets_and_keys_too() {
    let place = Place::new();
    let output = place.run(&["--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!place.path("state").exists());

    place.write("targets", "lb,1934,ehb1:0123secret\n", 0o600);
    let output = place.run(&["--check"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains("line 1") && !said(&output).contains("0123secret"));

    place.write("targets", "lb,1934,ehb1:0123secret\n", 0o644);
    let output = place.run(&["--check"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains("chmod 600"), "{}", said(&output));
}

#[test]
fn bad_configuration_exits_with_64_and_the_way_out() {
    let place = Place::new();
    place.write("agent.toml", "[source]\nknid = \"file\"\n", 0o644);
    let config = place.path("agent.toml");
    for (flags, tells) in [
        (vec!["--interval", "1h"], "interval"),
        (vec!["--source-kind", "srs"], "source.url"),
        (vec!["--source-kind", "red5"], "host, nginx-rtmp"),
        (vec!["--redirect-address", "${com.wowza.X}"], "redirect_address"),
        (vec!["--redirect-address", "${ec2:public-ipv4"], "redirect_address"),
        (vec!["--capacity-link", "../eth0"], "capacity.link"),
        (vec!["--targets-file", "/nonexistent/targets.txt"], "create it"),
        (vec!["--config", config.to_str().expect("UTF-8")], "knid"),
        (vec!["--no-such-flag"], "--no-such-flag"),
    ] {
        let output = place.run(&flags);
        assert_eq!(output.status.code(), Some(64), "{flags:?}: {}", said(&output));
        assert!(said(&output).contains(tells), "{flags:?}: {}", said(&output));
    }
}

#[test]
fn a_port_that_is_taken_exits_with_1_and_names_the_key() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("bound").to_string();
    let output = place.run(&["--control-listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("control.listen"), "{}", said(&output));
}

/// A running agent and the address it is asked at.
fn started(place: &Place) -> (Killed, String) {
    let ports = place.path("ports.json");
    let child = place.agent().arg("--ports-file").arg(&ports).stderr(Stdio::null()).spawn();
    let agent = Killed(child.expect("started"));
    let ports: serde_json::Value = serde_json::from_str(&wait_for(&ports)).expect("JSON");
    (agent, ports["control_tcp"].as_str().expect("an address").to_owned())
}

#[test]
fn an_operator_pauses_unpauses_and_sees_a_running_agent() {
    let place = Place::new();
    let (agent, control) = started(&place);
    let ask = |words: &[&str]| {
        let output = place.agent().args(words).args(["--control-listen", &control]).output();
        let output = output.expect("ran");
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(ask(&["pause"]), "edge-1 is paused: it takes no new viewers\n");
    assert!(ask(&["status"]).contains("Redirector  127.0.0.1:"));
    let status: serde_json::Value =
        serde_json::from_str(&ask(&["status", "--json"])).expect("JSON");
    assert_eq!(status["paused"], true);
    assert!(!ask(&["unpause"]).contains("paused"));
    drop(agent);
    let late = place.run(&["status", "--control-listen", &control]);
    assert_eq!(late.status.code(), Some(1));
    assert!(said(&late).contains("is it running"), "{}", said(&late));
    let nowhere = place.run(&["pause"]);
    assert_eq!(nowhere.status.code(), Some(64));
    assert!(said(&nowhere).contains("port 0"), "{}", said(&nowhere));
}

const PUBLIC_ADDRESS: &str = "${com.wowza.amazonaws.ec2.AWSEC2_METADATA_PUBLIC_IPV4}";

/// A metadata service that wants a token, as EC2's does; its URL.
fn metadata_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let has = |header: &str| lines.iter().any(|line| line.eq_ignore_ascii_case(header));
            let answer = match lines[0].as_str() {
                "PUT /latest/api/token HTTP/1.1" => Some("secret-token"),
                "GET /latest/meta-data/public-ipv4 HTTP/1.1"
                    if has("x-aws-ec2-metadata-token: secret-token") =>
                {
                    Some("203.0.113.7")
                }
                _ => None,
            };
            let status = if answer.is_some() { "200 OK" } else { "401 Unauthorized" };
            let body = answer.unwrap_or_default();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .expect("answered");
        }
    });
    url
}

#[test]
fn the_public_address_of_an_ec2_instance_is_asked_for_at_the_start() {
    let place = Place::new();
    let asking = |flags: &[&str], endpoint: &str| {
        let mut agent = place.agent();
        agent.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
        agent.args(["--redirect-address", PUBLIC_ADDRESS]).args(flags).output().expect("ran")
    };
    let output = asking(&["--once", "--print"], &metadata_service());
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["redirect_address"], "203.0.113.7", "{}", said(&output));
    assert!(!said(&output).contains("redirect_address"), "{}", said(&output));

    let nobody = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let nobody = format!("http://{nobody}");
    let began = Instant::now();
    let output = asking(&["--once", "--print"], &nobody);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(shown["redirect_address"].is_null());
    for told in ["redirect_address", PUBLIC_ADDRESS, &nobody, "connection refused"] {
        assert!(said(&output).contains(told), "{told}: {}", said(&output));
    }

    let output = asking(&["--check"], &nobody);
    assert_eq!(output.status.code(), Some(0), "the check asks nobody");
    let checked = String::from_utf8_lossy(&output.stdout);
    assert!(checked.contains(&format!("{PUBLIC_ADDRESS} is asked for")), "{checked}");

    let output = asking(&[], &nobody);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    assert!(said(&output).contains(PUBLIC_ADDRESS), "{}", said(&output));
    place.redirector.set_nonblocking(true).expect("set");
    assert!(place.redirector.recv(&mut [0; 8]).is_err(), "something was sent");
}

#[test]
fn a_check_reads_the_key_files() {
    let place = Place::new();
    let keys = place.path("keys").display().to_string();
    place.write("targets", &format!("127.0.0.1,1934,${{file:{keys}}}\n"), 0o600);
    let output = place.run(&["--check"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains(&keys) && said(&output).contains("line 1"), "{}", said(&output));

    place.write("keys", &format!("{}\n", *format_fleet_key(&FleetKey::random())), 0o640);
    let output = place.run(&["--check"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_state_folder_is_prepared_as_the_settings_name_it() {
    let place = Place::new();
    let metadata = fs::metadata(place.dir.path()).expect("there");
    let own = format!("{}:{}", metadata.uid(), metadata.gid());
    for _ in 0..2 {
        let output = place.run(&["prepare-state", "--owner", &own]);
        assert!(output.status.success(), "{}", said(&output));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains(&place.path("state").display().to_string()), "{shown}");
    }
    let mode = fs::metadata(place.path("state")).expect("made").mode();
    assert_eq!(mode & 0o7777, 0o700);

    let below_nothing = place.path("none/state").display().to_string();
    for (flags, code, why) in [
        (["--owner", "root", "--state-dir", "/x"], 64, "UID:GID"),
        (["--owner", &own, "--state-dir", "state"], 64, "absolute path"),
        (["--owner", &own, "--state-dir", &below_nothing], 1, "create the folder above"),
    ] {
        let output = place.run(&[&["prepare-state"], flags.as_slice()].concat());
        assert_eq!(output.status.code(), Some(code), "{flags:?}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    assert_eq!(place.run(&["prepare-state"]).status.code(), Some(64), "nobody is named");
}

#[test]
fn a_link_that_does_not_tell_its_speed_is_told_and_changes_nothing() {
    let place = Place::new();
    let output = place.run(&["--once", "--print", "--capacity-link", "no-such-if"]);
    assert!(output.status.success());
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(shown["capacity"]["bandwidth_bps"].is_null());
    assert!(said(&output).contains("capacity.link: no-such-if"), "{}", said(&output));

    let flags = ["--once", "--print", "--capacity-link", "auto", "--capacity-bandwidth-bps", "7"];
    let output = place.run(&flags);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["capacity"]["bandwidth_bps"], 7);
    assert!(!said(&output).contains("capacity.link"), "{}", said(&output));
}
