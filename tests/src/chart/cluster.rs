//! As much of a Kubernetes API server as Helm asks before it installs: which APIs there are, and which
//! Secrets. It changes nothing and keeps no objects that it was not given.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use serde_json::{Value, json};

use super::{Helm, Manifest, NAMESPACE, RELEASE, folder, manifest};

/// A kind's name in addresses, and its own.
type Kinds = &'static [(&'static str, &'static str)];

/// The groups beside the core's, and what the chart makes of each.
const GROUPS: [(&str, &str, Kinds); 3] = [
    ("apps", "v1", &[("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet")]),
    ("networking.k8s.io", "v1", &[("networkpolicies", "NetworkPolicy")]),
    (
        "monitoring.coreos.com",
        "v1",
        &[("servicemonitors", "ServiceMonitor"), ("prometheusrules", "PrometheusRule")],
    ),
];
const CORE: Kinds = &[
    ("configmaps", "ConfigMap"),
    ("pods", "Pod"),
    ("secrets", "Secret"),
    ("serviceaccounts", "ServiceAccount"),
    ("services", "Service"),
];

/// Something that answers Helm as a cluster would.
#[derive(Debug)]
pub struct Cluster {
    address: SocketAddr,
}

/// What Helm would install.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The manifests, with those of hooks at the end.
    pub manifests: Vec<Manifest>,
    /// What the user is told.
    pub notes: String,
}

#[derive(Debug)]
struct Content {
    minor: u32,
    policy: &'static str,
    secrets: Vec<Manifest>,
}

impl Cluster {
    /// A cluster of the version 1.`minor` that knows one version of the group `policy` and holds
    /// these Secrets, as a release left them. It answers until the process ends.
    #[track_caller]
    #[must_use]
    pub fn start(minor: u32, policy: &'static str, secrets: Vec<Manifest>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let content = Arc::new(Content { minor, policy, secrets });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let content = content.clone();
                thread::spawn(move || content.serve(stream));
            }
        });
        Self { address }
    }

    /// What `helm install` would send here, with these further options.
    #[track_caller]
    #[must_use]
    pub fn install(&self, helm: Helm, options: &[&str]) -> Installation {
        let chart = folder().display().to_string();
        let server = format!("http://{}", self.address);
        let command = ["install", RELEASE, &chart, "--namespace", NAMESPACE, "--output", "json"];
        let dry = ["--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", &server];
        let said = helm.run(&[&command[..], &dry, options].concat()).ok();
        let release: Value = serde_json::from_str(&said).expect("a release as JSON");
        let text = |pointer| release.pointer(pointer).and_then(Value::as_str).expect("a text");
        let mut manifests = manifest::all(text("/manifest"));
        for hook in release["hooks"].as_array().into_iter().flatten() {
            manifests.extend(manifest::all(hook["manifest"].as_str().expect("a hook's manifest")));
        }
        Installation { manifests, notes: text("/info/notes").to_owned() }
    }
}

impl Content {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(&stream);
        let mut request = String::new();
        if reader.read_line(&mut request).is_err() {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|len| len > 2) {
            line.clear();
        }
        let target = request.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let (status, body) = match self.answer(path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", not_found()),
        };
        let body = body.to_string();
        // Whoever hangs up does not want the answer.
        let _ = write!(
            &stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn answer(&self, path: &str) -> Option<Value> {
        let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
        if let Some(name) = path.strip_prefix(&format!("{secrets}/")) {
            return self.secrets.iter().find(|one| one.name() == name).map(as_released);
        }
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match segments[..] {
            ["version"] => Some(json!({
                "major": "1",
                "minor": self.minor.to_string(),
                "gitVersion": format!("v1.{}.0", self.minor),
            })),
            ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
            ["apis"] => Some(self.groups()),
            ["api", "v1"] => Some(resources("v1", CORE)),
            ["apis", "policy", version] if version == self.policy => {
                let budgets = [("poddisruptionbudgets", "PodDisruptionBudget")];
                Some(resources(&format!("policy/{version}"), &budgets))
            }
            ["apis", group, version] => GROUPS
                .iter()
                .find(|(name, of, _)| (*name, *of) == (group, version))
                .map(|(_, _, kinds)| resources(&format!("{group}/{version}"), kinds)),
            _ if path == secrets => {
                Some(json!({"kind": "SecretList", "apiVersion": "v1", "items": []}))
            }
            _ => None,
        }
    }

    fn groups(&self) -> Value {
        let named = GROUPS.iter().map(|(name, version, _)| (*name, *version));
        let groups: Vec<_> = named
            .chain([("policy", self.policy)])
            .map(|(name, version)| {
                let version = json!({
                    "groupVersion": format!("{name}/{version}"),
                    "version": version,
                });
                json!({"name": name, "versions": [version], "preferredVersion": version})
            })
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }
}

fn resources(version: &str, kinds: &[(&str, &str)]) -> Value {
    let resources: Vec<_> = kinds
        .iter()
        .map(|(name, kind)| {
            let verbs = ["create", "get", "list", "patch"];
            json!({"name": name, "kind": kind, "namespaced": true, "verbs": verbs})
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": resources,
    })
}

fn not_found() -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "NotFound",
        "message": "not found",
        "code": 404,
    })
}

/// With the marks by which Helm knows what its release made before.
fn as_released(secret: &Manifest) -> Value {
    let mut value = secret.0.clone();
    value["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    value["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!(RELEASE);
    value["metadata"]["annotations"]["meta.helm.sh/release-namespace"] = json!(NAMESPACE);
    value
}
