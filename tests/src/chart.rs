//! The Helm chart, rendered by both Helms that are in the field, with every combination of values in
//! its `ci/` folder.

mod cluster;
mod manifest;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

use serde_json::Value;

pub use self::{
    cluster::Cluster,
    manifest::{Manifest, parse},
};
use crate::{
    process::{Ran, run},
    tools::tool,
};

/// The release that the tests install.
pub const RELEASE: &str = "live";
/// The namespace it goes to.
pub const NAMESPACE: &str = "video";
const DEADLINE: Duration = Duration::from_secs(60);

/// The chart's folder.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/tidegate")
}

/// A Helm that people have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// 3.17.
    Three,
    /// 4.3.
    Four,
}

/// Both.
pub const HELMS: [Helm; 2] = [Helm::Three, Helm::Four];

impl Helm {
    /// Runs it to its end, without anybody's configuration or cluster.
    #[track_caller]
    pub fn run(self, arguments: &[&str]) -> Ran {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(tool(self.name()));
        command.env_clear().env("HOME", home.path()).env("KUBECONFIG", "/dev/null");
        command.args(arguments);
        run(command, DEADLINE)
    }

    /// `helm template` of a release of this name; `options` may hold values.
    #[track_caller]
    pub fn template(self, release: &str, options: &[&str]) -> Ran {
        let chart = folder().display().to_string();
        let command = ["template", release, &chart, "--namespace", NAMESPACE];
        self.run(&[&command[..], options].concat())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Three => "helm3",
            Self::Four => "helm4",
        }
    }
}

/// A Kubernetes that the chart is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kubernetes {
    /// The oldest that the chart admits.
    V1_20,
    /// A current one.
    V1_37,
}

impl Kubernetes {
    /// As Helm's options take it.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V1_20 => "1.20",
            Self::V1_37 => "1.37",
        }
    }
}

/// A file of `ci/`: a combination of values that somebody has.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
}

impl Case {
    /// Its values over the chart's.
    #[track_caller]
    #[must_use]
    pub fn values(&self) -> Value {
        let text = fs::read_to_string(&self.file).expect("the values of a case");
        parse(&text).into_iter().next().unwrap_or_default()
    }
}

/// Every case there is, by name.
#[track_caller]
#[must_use]
pub fn cases() -> Vec<Case> {
    let folder = folder().join("ci");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "yaml"))
        .map(|file| Case {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            file,
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 5, "{} has too few cases", folder.display());
    cases
}

/// A case as one Helm renders it for one Kubernetes.
#[derive(Debug, Clone)]
pub struct Rendering {
    /// Which values.
    pub case: Case,
    /// By whom.
    pub helm: Helm,
    /// For which cluster.
    pub kubernetes: Kubernetes,
    /// As Helm wrote it.
    pub text: String,
    /// The same, read.
    pub manifests: Vec<Manifest>,
}

impl fmt::Display for Rendering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, helm, kubernetes, .. } = self;
        write!(f, "{} by {} for {}", case.name, helm.name(), kubernetes.version())
    }
}

impl Rendering {
    #[track_caller]
    fn make(case: Case, helm: Helm, kubernetes: Kubernetes) -> Self {
        let file = case.file.display().to_string();
        let options = ["--values", &file, "--kube-version", kubernetes.version()];
        let text = helm.template(RELEASE, &options).ok();
        let manifests = manifest::all(&text);
        Self { case, helm, kubernetes, text, manifests }
    }

    /// The manifests of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().filter(move |manifest| manifest.kind() == kind)
    }

    /// The one manifest of a kind and a name.
    #[track_caller]
    #[must_use]
    pub fn the(&self, kind: &str, name: &str) -> &Manifest {
        let found = self.of_kind(kind).find(|manifest| manifest.name() == name);
        found.unwrap_or_else(|| panic!("{self}: there is no {kind} {name}"))
    }

    /// Its redirectors.
    #[track_caller]
    #[must_use]
    pub fn redirectors(&self) -> &Manifest {
        self.the("StatefulSet", "live-tidegate-redirector")
    }

    /// How many redirectors there are.
    #[track_caller]
    #[must_use]
    pub fn replicas(&self) -> u64 {
        self.redirectors().at("/spec/replicas").as_u64().expect("a number of replicas")
    }

    /// Every Secret's content, decoded: Secret -> key -> text.
    #[track_caller]
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<&str, BTreeMap<String, String>> {
        self.of_kind("Secret").map(|secret| (secret.name(), secret.secret_data())).collect()
    }
}

/// Every case by both Helms for both clusters, rendered once for all tests of a process.
#[track_caller]
pub fn renderings() -> &'static [Rendering] {
    static RENDERINGS: OnceLock<Vec<Rendering>> = OnceLock::new();
    RENDERINGS.get_or_init(|| {
        thread::scope(|scope| {
            let of_one = |helm, kubernetes| {
                scope.spawn(move || {
                    let rendered = cases().into_iter();
                    rendered.map(|case| Rendering::make(case, helm, kubernetes)).collect::<Vec<_>>()
                })
            };
            let all = [
                of_one(Helm::Three, Kubernetes::V1_20),
                of_one(Helm::Three, Kubernetes::V1_37),
                of_one(Helm::Four, Kubernetes::V1_20),
                of_one(Helm::Four, Kubernetes::V1_37),
            ];
            all.into_iter().flat_map(|one| one.join().expect("rendered")).collect()
        })
    })
}

/// The rendering of one case by Helm 4 for a current cluster.
#[track_caller]
#[must_use]
pub fn rendering(case: &str) -> &'static Rendering {
    let wanted = |one: &&Rendering| {
        one.case.name == case && one.helm == Helm::Four && one.kubernetes == Kubernetes::V1_37
    };
    renderings().iter().find(wanted).unwrap_or_else(|| panic!("there is no ci/{case}.yaml"))
}
