//! An edge that is nginx with its RTMP module: RTMP, RTMP in TLS, and the HLS files it cuts.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tidegate_proto::edge::Scheme;

use crate::{
    http,
    process::Process,
    tools::tool,
    wait::{SOON, eventually},
};

/// nginx cannot be told to take any free port, so one that was free a moment ago may be taken.
const TRIES: usize = 10;
/// Where distributions keep nginx's modules.
const MODULES: [&str; 3] =
    ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules"];
/// What the log of RTMP says of each session that has ended.
const LOG_FORMAT: &str = r#""$command|$app|$name|$args|$tcurl""#;

/// A running nginx with the applications `live` and `other`.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    /// RTMP.
    pub rtmp: SocketAddr,
    /// RTMP in TLS, if it was started with a certificate.
    pub rtmps: SocketAddr,
    /// HLS at `/live/STREAM/playlist.m3u8`.
    pub http: SocketAddr,
    /// The same in TLS, if it was started with a certificate.
    pub https: SocketAddr,
    has_tls: bool,
    home: TempDir,
}

/// A session that the log tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `PLAY`, `PUBLISH`, or `-` for one that did neither.
    pub command: String,
    /// The application, without its query.
    pub app: String,
    /// The stream, without its query.
    pub name: String,
    /// The query of the stream.
    pub args: String,
    /// What `connect` carried.
    pub tc_url: String,
}

impl Nginx {
    /// RTMP and HLS.
    #[track_caller]
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// Both in TLS too, with `server.pem` and `server.key` of a folder.
    #[track_caller]
    pub fn start_with_tls(certificates: &Path) -> Self {
        Self::launch(Some(certificates))
    }

    #[track_caller]
    fn launch(certificates: Option<&Path>) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(home.path().join("hls")).expect("a folder");
        for _ in 0..TRIES {
            let ports @ [rtmp, rtmps, http, https] = free_ports();
            let text = configuration(home.path(), certificates, ports);
            if let Some(process) = Self::attempt(home.path(), &text) {
                return Self {
                    process,
                    rtmp,
                    rtmps,
                    http,
                    https,
                    has_tls: certificates.is_some(),
                    home,
                };
            }
        }
        let log = fs::read_to_string(home.path().join("nginx.log")).unwrap_or_default();
        panic!("nginx did not start in {TRIES} tries: {log}");
    }

    /// One start; `None` if nginx ended, for example because a port was taken meanwhile.
    #[track_caller]
    fn attempt(home: &Path, configuration: &str) -> Option<Process> {
        let (file, pid) = (home.join("nginx.conf"), home.join("nginx.pid"));
        fs::write(&file, configuration).expect("a configuration file");
        let _ = fs::remove_file(&pid);
        let log = home.join("nginx.log");
        let mut command = Command::new(nginx());
        command.arg("-p").arg(home).arg("-c").arg(&file).arg("-e").arg(&log);
        let mut process = Process::start(command, &home.join("nginx.out"));
        // nginx writes its pid once it listens on every port.
        eventually(SOON, "nginx listens or ends", || {
            let listens = fs::metadata(&pid).is_ok_and(|file| file.len() > 0);
            match (process.is_running(), listens) {
                (false, _) => Ok(false),
                (true, true) => Ok(true),
                (true, false) => Err("neither yet".into()),
            }
        })
        .then_some(process)
    }

    /// What an edge's heartbeat says of it.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(Scheme, u16)> {
        let mut endpoints =
            vec![(Scheme::Rtmp, self.rtmp.port()), (Scheme::Http, self.http.port())];
        if self.has_tls {
            endpoints.push((Scheme::Rtmps, self.rtmps.port()));
            endpoints.push((Scheme::Https, self.https.port()));
        }
        endpoints
    }

    /// `rtmp://127.0.0.1:PORT/live/STREAM`.
    #[must_use]
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.rtmp)
    }

    /// Where one of its status pages is: `/stat` of the RTMP module, or `/nginx_status`.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Starts it again on the same ports, after a kill.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(!self.process.is_running(), "kill it first");
        let text = fs::read_to_string(self.home.path().join("nginx.conf")).expect("just used");
        // A port may be taken for a moment meanwhile.
        self.process = eventually(SOON, "nginx starts again", || {
            Self::attempt(self.home.path(), &text).ok_or_else(|| "it ended".to_owned())
        });
    }

    /// The child process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The sessions that have ended, in that order.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let log = fs::read_to_string(self.home.path().join("rtmp.log")).unwrap_or_default();
        log.lines().filter_map(Session::parse).collect()
    }

    /// Waits for a session that has ended.
    #[track_caller]
    pub fn session(&self, what: &str, holds: impl Fn(&Session) -> bool) -> Session {
        eventually(SOON, &format!("the edge's log tells of {what}"), || {
            let sessions = self.sessions();
            sessions.iter().find(|session| holds(session)).cloned().ok_or(format!("{sessions:?}"))
        })
    }

    /// The players that receive a stream of the application `live` at this moment.
    #[track_caller]
    pub fn players(&self, stream: &str) -> usize {
        let page = http::get(self.http, "/stat").text();
        let named = format!("<name>{stream}</name>");
        let of_stream = page.split("<stream>").find(|part| part.contains(&named));
        let clients = of_stream.into_iter().flat_map(|part| part.split("<client>").skip(1));
        clients.filter(|client| !client.contains("<publishing/>")).count()
    }

    /// Waits until the playlist of a stream lists two segments, so that players begin at once.
    #[track_caller]
    pub fn until_hls(&self, stream: &str) -> String {
        let path = format!("/live/{stream}/playlist.m3u8");
        eventually(SOON, &format!("{path} lists two segments"), || {
            let reply = http::try_request(self.http, "GET", &path, &[])?;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            if text.matches("#EXTINF").count() >= 2 { Ok(text) } else { Err(text) }
        })
    }
}

impl Session {
    fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.splitn(5, '|').collect();
        let [command, app, name, args, tc_url] = parts[..] else { return None };
        let [command, app, name, args, tc_url] =
            [command, app, name, args, tc_url].map(str::to_owned);
        Some(Self { command, app, name, args, tc_url })
    }
}

/// In `PATH`, or where Debian keeps programs of the system.
#[track_caller]
fn nginx() -> PathBuf {
    let system = Path::new("/usr/sbin/nginx");
    if system.is_file() { system.to_owned() } else { tool("nginx") }
}

#[track_caller]
fn module(name: &str) -> String {
    let found = MODULES.iter().map(|folder| Path::new(folder).join(name)).find(|p| p.is_file());
    let found =
        found.unwrap_or_else(|| panic!("there is no {name}; `tests/run --install` gets it"));
    found.display().to_string()
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    held.map(|listener| listener.local_addr().expect("an address"))
}

fn configuration(home: &Path, tls: Option<&Path>, ports: [SocketAddr; 4]) -> String {
    let [rtmp, rtmps, http, https] = ports;
    let home = home.display();
    let rtmp_module = module("ngx_rtmp_module.so");
    let [stream_module, stream, listen_tls] = tls.map_or_else(Default::default, |folder| {
        let module = module("ngx_stream_module.so");
        let folder = folder.display();
        let certificate = format!(
            "ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"
        );
        [
            format!("load_module {module};"),
            format!(
                "stream {{ server {{ listen {rtmps} ssl; proxy_pass {rtmp}; {certificate} }} }}"
            ),
            format!("listen {https} ssl; {certificate}"),
        ]
    });
    format!(
        r#"load_module {rtmp_module};
{stream_module}
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/nginx.log notice;
events {{ worker_connections 512; }}
rtmp {{
    log_format told {LOG_FORMAT};
    access_log {home}/rtmp.log told;
    server {{
        listen {rtmp};
        application live {{
            live on;
            hls on;
            hls_path {home}/hls;
            hls_nested on;
            hls_fragment 1s;
            hls_playlist_length 20s;
        }}
        application other {{ live on; }}
    }}
}}
http {{
    access_log {home}/http.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
    server {{
        listen {http};
        {listen_tls}
        add_header Access-Control-Allow-Origin * always;
        add_header Cache-Control no-store always;
        location = /stat {{ rtmp_stat all; }}
        location = /nginx_status {{ stub_status; }}
        rewrite ^/live/([^/]+)/playlist\.m3u8$ /live/$1/index.m3u8 last;
        location /live/ {{ alias {home}/hls/; }}
    }}
}}
{stream}
"#
    )
}
