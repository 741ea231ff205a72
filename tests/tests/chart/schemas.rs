//! Held to what Kubernetes itself says its objects are.

use std::{fs, process::Command, time::Duration};

use serde_json::Value;
use tidegate_tests::{
    chart::{HELMS, Helm, Kubernetes, Rendering, cases, folder, renderings},
    process::run,
    tools::tool,
};

/// Kinds of the Prometheus operator, which `monitoring` holds to what that operator reads.
const OF_OTHERS: [&str; 2] = ["PrometheusRule", "ServiceMonitor"];
/// Fields that Kubernetes learned after 1.20, as they stand in the kinds of this chart.
const NEWER_THAN_1_20: &[&str] = &[
    "appArmorProfile",
    "endPort",
    "grpc",
    "hostUsers",
    "internalTrafficPolicy",
    "loadBalancerClass",
    "matchLabelKeys",
    "minDomains",
    "minReadySeconds",
    "mismatchLabelKeys",
    "nodeAffinityPolicy",
    "nodeTaintsPolicy",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "resizePolicy",
    "schedulingGates",
    "trafficDistribution",
    "unhealthyPodEvictionPolicy",
];

#[test]
fn helm_lints_every_case_without_a_warning() {
    let chart = folder().display().to_string();
    for (helm, case) in HELMS.iter().flat_map(|helm| cases().into_iter().map(move |c| (helm, c))) {
        let file = case.file.display().to_string();
        let ran = helm.run(&["lint", "--strict", &chart, "--values", &file]);
        assert_eq!(ran.code, Some(0), "{} by {helm:?}: {}{}", case.name, ran.out, ran.err);
    }
}

#[test]
fn both_helms_write_the_same_but_for_what_is_random() {
    let of = |helm| renderings().iter().filter(move |one| one.helm == helm);
    for (three, four) in of(Helm::Three).zip(of(Helm::Four)) {
        let [three_read, four_read] = [three, four].map(|one| {
            let random = |manifest: &&tidegate_tests::chart::Manifest| {
                manifest.kind() != "Secret" || manifest.name().ends_with("-targets")
            };
            one.manifests.iter().filter(random).collect::<Vec<_>>()
        });
        assert!(!four_read.is_empty());
        assert_eq!(three_read, four_read, "{three} and {four}");
    }
}

/// The oldest schemas that the validator has are those of 1.25, which no longer have policy/v1beta1;
/// the fields of its budget are those of policy/v1.
fn validated(kubernetes: Kubernetes) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let version = match kubernetes {
        Kubernetes::V1_20 => "1.25",
        Kubernetes::V1_37 => "1.37",
    };
    let mut command = Command::new(tool("kubernetes-validate"));
    command.args(["--strict", "--kubernetes-version", version]);
    let mut expected = 0;
    let chosen = |one: &&Rendering| one.helm == Helm::Four && one.kubernetes == kubernetes;
    for one in renderings().iter().filter(chosen) {
        let file = dir.path().join(format!("{}.yaml", one.case.name));
        fs::write(&file, one.text.replace("policy/v1beta1", "policy/v1")).expect("written");
        command.arg(file);
        expected += one.manifests.iter().filter(|m| !OF_OTHERS.contains(&m.kind())).count();
    }
    let ran = run(command, Duration::from_secs(120));
    // Kinds it does not know are warnings to it, and its exit code is 0 all the same.
    let known = |line: &&str| OF_OTHERS.iter().any(|k| line.contains(&format!("for kind {k} ")));
    let faults: Vec<_> = ran
        .out
        .lines()
        .filter(|line| !(line.starts_with("INFO ") || line.starts_with("WARN ") && known(line)))
        .collect();
    assert!(faults.is_empty() && ran.code == Some(0), "{faults:#?}\n{}", ran.err);
    let passed = ran.out.lines().filter(|line| line.starts_with("INFO ")).count();
    assert_eq!(passed, expected, "every manifest is looked at");
}

#[test]
fn every_manifest_is_what_an_old_kubernetes_knows() {
    validated(Kubernetes::V1_20);
}

#[test]
fn every_manifest_is_what_a_current_kubernetes_knows() {
    validated(Kubernetes::V1_37);
}

#[test]
fn kubernetes_1_20_is_sent_no_field_that_is_newer_unless_a_value_asks_for_it() {
    for one in renderings().iter().filter(|one| one.kubernetes == Kubernetes::V1_20) {
        let asked = one.case.values().to_string();
        for manifest in &one.manifests {
            let mut keys = Vec::new();
            collect_keys(&manifest.0, &mut keys);
            for key in NEWER_THAN_1_20.iter().filter(|key| keys.contains(key)) {
                let quoted = format!("\"{key}\"");
                assert!(asked.contains(&quoted), "{one}: {key} in {}", manifest.name());
            }
        }
    }
}

fn collect_keys<'a>(value: &'a Value, keys: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                keys.push(key);
                collect_keys(value, keys);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}
