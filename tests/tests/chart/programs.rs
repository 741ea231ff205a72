//! The programs with exactly what their containers would give them: arguments, variables and files.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_proto::{key::format_fleet_key, seal::FleetKey};
use tidegate_tests::{
    chart::{Manifest, Rendering, cases, rendering, renderings},
    credentials::{Tokens, write_certificates},
    process::{Process, run},
    programs::{Ports, program, tidegatectl, write_secret},
    wait::{SOON, eventually},
};

/// The folders below which everything stands that a container brings.
const FOLDERS: [&str; 2] = ["/etc/tidegate", "/var/lib/tidegate"];

/// The files of one container, below a folder of ours.
struct Root {
    dir: TempDir,
}

impl Root {
    fn of(one: &Rendering, pod: &Manifest, container: &Manifest) -> Self {
        let root = Self { dir: tempfile::tempdir().expect("a temporary folder") };
        for mount in container.list("/volumeMounts") {
            let path = root.moved(mount["mountPath"].as_str().expect("a path"));
            if !path.starts_with(root.dir.path().to_string_lossy().as_ref()) {
                continue;
            }
            let folder = PathBuf::from(path);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a folder");
            let volumes = pod.list("/spec/volumes").iter();
            // The claims' volumes are not among the pod's; they are empty folders here.
            if let Some(volume) = volumes.into_iter().find(|one| one["name"] == mount["name"]) {
                root.fill(one, &folder, volume);
            }
        }
        root
    }

    fn fill(&self, one: &Rendering, folder: &Path, volume: &Value) {
        if let Some(name) = volume.pointer("/configMap/name").and_then(Value::as_str) {
            for (file, text) in one.the("ConfigMap", name).labels("/data") {
                fs::write(folder.join(file), text).expect("written");
            }
        }
        let Some(secret) = volume.get("secret") else { return };
        let made = one.secrets().remove(secret["secretName"].as_str().expect("a name"));
        for item in secret["items"].as_array().expect("items") {
            let (key, file) = (item["key"].as_str(), item["path"].as_str());
            let (key, file) = key.zip(file).expect("a key and a path");
            let text = made
                .as_ref()
                .map_or_else(|| self.secret_of_ones_own(file), |made| made[key].clone());
            let path = folder.join(file);
            write_secret(&path, &self.moved(&text));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).expect("a mode");
        }
    }

    /// What a user would have put into a Secret under this name.
    fn secret_of_ones_own(&self, file: &str) -> String {
        let folder = self.dir.path().join("own");
        if !folder.exists() {
            fs::create_dir(&folder).expect("a folder");
            write_certificates(&folder);
            Tokens::write(&folder);
            write_secret(
                &folder.join("keys"),
                &format!("{}\n", *format_fleet_key(&FleetKey::random())),
            );
        }
        let own = match file {
            "tls.crt" => "server.pem",
            "tls.key" => "server.key",
            "ca.crt" => "ca.pem",
            "keys" => "keys",
            "tokens" => "tokens",
            other => panic!("nobody told what a user would put into {other}"),
        };
        fs::read_to_string(folder.join(own)).expect("just written")
    }

    /// A text with the container's folders in it, as it is below ours.
    fn moved(&self, text: &str) -> String {
        let here = self.dir.path().display().to_string();
        FOLDERS
            .iter()
            .fold(text.to_owned(), |text, folder| text.replace(folder, &format!("{here}{folder}")))
    }

    /// The container's command with its variables; those that come from the pod are made up.
    fn command(&self, container: &Manifest) -> Command {
        let path = container.text("/command/0");
        let mut command = program(path.strip_prefix("/usr/bin/").expect("a program of the image"));
        for argument in container.list("/args") {
            command.arg(self.moved(argument.as_str().expect("an argument")));
        }
        for (name, value) in container.env() {
            command.env(name, self.moved(value));
        }
        for entry in container.list("/env") {
            let from = entry.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str);
            let value = match from {
                Some("status.hostIP") => "192.0.2.7",
                Some("spec.nodeName") => "node-1",
                Some(other) => panic!("nobody told what {other} would be"),
                None => continue,
            };
            command.env(entry["name"].as_str().expect("a name"), value);
        }
        command
    }
}

/// The main container of a workload, with its files.
fn placed(one: &Rendering, workload: &Manifest) -> (Root, Command) {
    let pod = workload.pod().expect("a pod");
    let container = Manifest(pod.at("/spec/containers/0").clone());
    let root = Root::of(one, &pod, &container);
    let command = root.command(&container);
    (root, command)
}

#[test]
fn the_redirector_accepts_every_cases_configuration() {
    for one in cases().iter().map(|case| rendering(&case.name)) {
        let (_root, mut command) = placed(one, one.redirectors());
        command.arg("--check");
        let ran = run(command, SOON);
        assert_eq!(ran.code, Some(0), "{one}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn the_agent_accepts_every_cases_configuration() {
    let one = rendering("daemonset-agents");
    let (_root, mut command) = placed(one, one.the("DaemonSet", "live-tidegate-agent"));
    command.arg("--check");
    let ran = run(command, SOON);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

/// A redirector of the default case, on free ports.
struct Running {
    _process: Process,
    root: Root,
    ports: Ports,
}

impl Running {
    fn start() -> Self {
        let one = rendering("default");
        let (root, mut command) = placed(one, one.redirectors());
        for listener in ["heartbeat", "client", "admin", "ops"] {
            command.arg(format!("--{listener}-listen=127.0.0.1:0"));
        }
        let file = root.dir.path().join("ports.json");
        command.arg("--ports-file").arg(&file);
        let process = Process::start(command, &root.dir.path().join("log"));
        let ports = eventually(SOON, "it listens", || {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            serde_json::from_str(&text).map_err(|error| error.to_string())
        });
        // What an operator takes out of the Secret.
        for (key, text) in &one.secrets()["live-tidegate-admin"] {
            write_secret(&root.dir.path().join(key), text);
        }
        Self { _process: process, root, ports }
    }

    fn file(&self, name: &str) -> String {
        self.root.dir.path().join(name).display().to_string()
    }

    fn ctl(&self, token: &str, verb: &[&str]) -> (Option<i32>, String) {
        let admin = format!("localhost:{}", self.ports.admin.port());
        let (ca, token) = (self.file("ca.crt"), self.file(token));
        let common = ["--admin", &admin, "--tls-ca", &ca, "--token-file", &token];
        let ran = tidegatectl(&[&common, verb].concat());
        (ran.code, ran.err)
    }
}

#[test]
fn what_the_chart_makes_at_random_works_in_the_programs() {
    let running = Running::start();
    let (operator, viewer) = ("operator-token", "metrics-token");
    for token in [operator, viewer] {
        let (code, said) = running.ctl(token, &["edges"]);
        assert_eq!(code, Some(0), "{token}: {said}");
    }
    let drain = ["drain", "nobody", "--reason", "a test"];
    let (_, said) = running.ctl(operator, &drain);
    assert!(said.contains("nobody") && !said.contains("operator's"), "{said}");
    let (code, refused) = running.ctl(viewer, &drain);
    assert_ne!(code, Some(0));
    assert_ne!(refused, said, "who may only look gives no orders");
}

#[test]
fn edges_get_keys_from_the_fleet_key_that_the_chart_makes() {
    for one in renderings() {
        let Some(keys) = one.secrets().remove("live-tidegate-keys") else { continue };
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("keys");
        write_secret(&file, &keys["keys"]);
        let file = file.display().to_string();
        let issued = tidegatectl(&["key", "issue", "--edge", "new", "--keys-file", &file]).ok();
        assert!(issued.contains("ehb1"), "{one}: {issued}");
    }
}

#[test]
fn every_variable_that_a_container_gets_is_a_setting_of_its_program() {
    let mut seen = 0;
    for one in cases().iter().map(|case| rendering(&case.name)) {
        for pod in one.manifests.iter().filter_map(Manifest::pod) {
            for container in pod.containers() {
                let name = container.text("/command/0").rsplit('/').next().unwrap_or_default();
                let mut asked = program(name);
                asked.arg("--help");
                let help = run(asked, SOON).ok();
                let names =
                    container.list("/env").iter().filter_map(|entry| entry["name"].as_str());
                for variable in names.filter(|variable| variable.starts_with("TIDEGATE")) {
                    assert!(help.contains(&format!("[env: {variable}]")), "{one}: {variable}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "{seen} variables");
}
