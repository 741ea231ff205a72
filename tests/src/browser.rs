//! A real browser: Chromium, driven through chromedriver (W3C WebDriver over HTTP).

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    http::{self, Reply},
    process::Process,
    tools::tool,
    wait::{SOON, eventually},
};

/// Nothing is fetched that a test did not ask for, and pictures move without a click.
const SWITCHES: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-proxy-server",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=640,480",
];

/// One window. Dropping it closes the browser.
#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    process: Process,
    _home: TempDir,
}

impl Browser {
    /// A window with a profile of its own.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further switches.
    #[track_caller]
    pub fn start_with(switches: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(tool("chromedriver"));
        command.arg("--port=0").process_group(0);
        let mut process = Process::start(command, &home.path().join("chromedriver.log"));
        let driver = port_of(&mut process);
        let profile = format!("--user-data-dir={}", home.path().join("profile").display());
        let mut arguments = [&SWITCHES[..], switches].concat();
        arguments.push(&profile);
        let options = json!({"args": arguments, "binary": tool("chromium")});
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}});
        let asked = json!({"capabilities": {"alwaysMatch": wanted}});
        let answer = call(driver, "POST", "/session", &asked);
        let session = answer["sessionId"].as_str().expect("a session").to_owned();
        Self { driver, session, process, _home: home }
    }

    #[track_caller]
    fn call(&self, method: &str, command: &str, body: &Value) -> Value {
        call(self.driver, method, &format!("/session/{}{command}", self.session), body)
    }

    /// Opens a page and waits until it has loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// What an expression in the page is.
    #[track_caller]
    pub fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.call("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true, and shows another if it never is.
    #[track_caller]
    pub fn until(&self, expression: &str, shown: &str) {
        eventually(SOON, &format!("the page says {expression}"), || {
            if self.evaluate(expression) == true {
                return Ok(());
            }
            Err(format!("{} {}", self.evaluate(shown), self.console()))
        });
    }

    /// What the page and the browser wrote to the console since it was last asked.
    #[track_caller]
    pub fn console(&self) -> Value {
        self.call("POST", "/se/log", &json!({"type": "browser"}))
    }

    /// Writes the window as a PNG.
    #[track_caller]
    pub fn screenshot(&self, to: &Path) {
        let picture = self.call("GET", "/screenshot", &Value::Null);
        let picture = STANDARD.decode(picture.as_str().expect("base64")).expect("base64");
        fs::write(to, picture).expect("a picture");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let target = format!("/session/{}", self.session);
        let _ = send(self.driver, "DELETE", &target, &Value::Null);
        // A browser whose page hangs does not obey, and would outlive its driver.
        let group = i32::try_from(self.process.pid()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    }
}

/// chromedriver says which port it took.
#[track_caller]
fn port_of(process: &mut Process) -> SocketAddr {
    eventually(SOON, "chromedriver says where it listens", || {
        let said = process.output();
        let port = said.split("was started successfully on port ").nth(1);
        let port = port.and_then(|rest| rest.split('.').next()?.trim().parse::<u16>().ok());
        port.map(|port| SocketAddr::from(([127, 0, 0, 1], port))).ok_or(said)
    })
}

#[track_caller]
fn call(driver: SocketAddr, method: &str, target: &str, body: &Value) -> Value {
    let reply = send(driver, method, target, body)
        .unwrap_or_else(|error| panic!("{method} {target}: {error}"));
    let mut answer = reply.json();
    assert_eq!(reply.status, 200, "{method} {target} {body}: {answer}");
    answer["value"].take()
}

fn send(driver: SocketAddr, method: &str, target: &str, body: &Value) -> Result<Reply, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = http::connect(driver)?;
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    whole_reply(&mut stream)
}

/// Reads as long as the answer says it is, because chromedriver is slow to close.
fn whole_reply(stream: &mut TcpStream) -> Result<Reply, String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let len = stream.read(&mut buffer).map_err(|error| error.to_string())?;
        bytes.extend(&buffer[..len]);
        let reply = Reply::parse(&bytes);
        let is_whole = reply.as_ref().is_ok_and(|reply| {
            let length = reply.header("content-length").and_then(|text| text.parse().ok());
            length.is_some_and(|length: usize| reply.body.len() >= length)
        });
        if is_whole || len == 0 {
            return reply;
        }
    }
}
