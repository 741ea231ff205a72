//! Real peers: grpcurl, curl, strace. An absent one is a failure, never a skipped test.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::process::{Ran, run};

const DEADLINE: Duration = Duration::from_secs(30);

/// Where a tool is: in `TIDEGATE_TOOLS`, in `.tools/bin` of the checkout, or in `PATH`.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    env::var_os("TIDEGATE_TOOLS")
        .map(PathBuf::from)
        .into_iter()
        .chain([checkout])
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("there is no {name}; `tests/run --install` gets it"))
}

/// Runs curl, without anybody's configuration or proxies.
#[track_caller]
pub fn curl(arguments: &[&str]) -> Ran {
    let mut command = Command::new(tool("curl"));
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "20"]);
    command.args(arguments);
    run(command, DEADLINE)
}

/// How grpcurl reaches an admin API.
#[derive(Debug, Clone)]
pub struct Grpcurl {
    address: SocketAddr,
    options: Vec<String>,
}

/// A refused call: gRPC's code by name, and the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For example `NotFound`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Grpcurl {
    /// In the clear.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, options: vec!["-plaintext".into()] }
    }

    /// Over TLS, trusting the authority in `ca`.
    #[must_use]
    pub fn tls(address: SocketAddr, ca: &Path) -> Self {
        Self { address, options: vec!["-cacert".into(), ca.display().to_string()] }
    }

    /// With further options.
    #[must_use]
    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        let header = format!("authorization: Bearer {token}");
        self.with(&["-H", &header])
    }

    /// The command, not run yet: `before` stands before the address, `after` after it.
    #[must_use]
    pub fn command(&self, before: &[&str], after: &[&str]) -> Command {
        let mut command = Command::new(tool("grpcurl"));
        command.args(["-connect-timeout", "10"]).args(&self.options);
        command.args(before).arg(self.address.to_string()).args(after);
        command
    }

    /// Runs `list`, `describe` and the like.
    #[track_caller]
    pub fn run(&self, before: &[&str], after: &[&str]) -> Ran {
        run(self.command(before, after), DEADLINE)
    }

    /// Calls a method of the fleet service.
    #[track_caller]
    pub fn fleet(&self, method: &str, request: &Value) -> Result<Value, Refusal> {
        self.call(&format!("tidegate.admin.v1.FleetService/{method}"), request)
    }

    /// Calls any unary method.
    #[track_caller]
    pub fn call(&self, method: &str, request: &Value) -> Result<Value, Refusal> {
        let ran = self.run(&["-d", &request.to_string()], &[method]);
        if ran.code == Some(0) {
            return Ok(serde_json::from_str(&ran.out)
                .unwrap_or_else(|error| panic!("{method} answered no JSON: {error}: {ran:?}")));
        }
        let field = |name: &str| {
            let line = ran.err.lines().find_map(|line| line.trim().strip_prefix(name));
            line.map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        let code = field("Code:");
        let message = if code.is_empty() { ran.err.clone() } else { field("Message:") };
        Err(Refusal { code, message })
    }
}
