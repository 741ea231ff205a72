//! Names and labels: within Kubernetes' bounds, and such that an upgrade of the chart changes no selector.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidegate_tests::chart::{Helm, Manifest, parse, renderings};

const LEN_MAX: usize = 63;
/// As long as Helm admits.
const LONG: &str = "a-release-with-a-name-of-exactly-fifty-three-letters0";

#[test]
fn the_longest_release_name_makes_no_name_or_label_too_long() {
    assert_eq!(LONG.len(), 53);
    let all = ["--set", "replicas=16,agent.enabled=true,metrics.dashboard.enabled=true"];
    let more = ["--set", "metrics.serviceMonitor.enabled=true"];
    let text = Helm::Four.template(LONG, &[all, more].concat()).ok();
    let manifests: Vec<_> = parse(&text).into_iter().map(Manifest).collect();
    assert!(manifests.len() > 40, "{}", manifests.len());
    let mut names = BTreeSet::new();
    for manifest in &manifests {
        assert!(names.insert((manifest.kind(), manifest.name())), "{} twice", manifest.name());
        assert!(manifest.name().len() <= LEN_MAX, "{}", manifest.name());
        let mut labels = Vec::new();
        label_values(&manifest.0, &mut labels);
        for label in labels {
            assert!(label.len() <= LEN_MAX, "{}: {label}", manifest.name());
        }
        if manifest.kind() == "StatefulSet" {
            // Its controller writes NAME-ORDINAL and NAME-HASH into labels of the pods.
            assert!(manifest.name().len() + "-0123456789".len() <= LEN_MAX, "{}", manifest.name());
        }
    }
}

/// Every value of a map of labels, wherever it stands.
fn label_values<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if ["labels", "matchLabels", "selector"].contains(&key.as_str()) {
                    let values = value.as_object().into_iter().flatten();
                    found.extend(values.filter_map(|(_, value)| value.as_str()));
                }
                label_values(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| label_values(value, found)),
        _ => {}
    }
}

#[test]
fn selectors_hold_nothing_that_an_upgrade_changes() {
    let stable: BTreeSet<_> =
        ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"]
            .into();
    for one in renderings() {
        for manifest in &one.manifests {
            let keys: BTreeSet<_> =
                manifest.labels("/spec/selector/matchLabels").into_keys().collect();
            if ["StatefulSet", "DaemonSet"].contains(&manifest.kind()) {
                assert_eq!(keys, stable, "{one}: {}", manifest.name());
                let pod = manifest.pod().expect("a pod");
                let labels = pod.labels("/metadata/labels");
                for (key, value) in manifest.labels("/spec/selector/matchLabels") {
                    assert_eq!(labels.get(key), Some(&value), "{one}: {}", manifest.name());
                }
            }
            for claim in manifest.list("/spec/volumeClaimTemplates") {
                let claim = Manifest(claim.clone());
                let labels = claim.labels("/metadata/labels").into_keys();
                assert!(labels.collect::<BTreeSet<_>>().is_subset(&stable), "{one}: {claim:?}");
            }
        }
    }
}

#[test]
fn every_object_has_the_usual_labels() {
    for one in renderings() {
        for manifest in &one.manifests {
            let labels: BTreeMap<_, _> = manifest.labels("/metadata/labels");
            let place = format!("{one}: {} {}", manifest.kind(), manifest.name());
            assert_eq!(labels.get("app.kubernetes.io/instance"), Some(&"live"), "{place}");
            assert_eq!(labels.get("app.kubernetes.io/managed-by"), Some(&"Helm"), "{place}");
            for key in ["name", "version", "component", "part-of"] {
                assert!(
                    labels.contains_key(format!("app.kubernetes.io/{key}").as_str()),
                    "{place}: {key}"
                );
            }
            assert!(labels.contains_key("helm.sh/chart"), "{place}");
            assert_eq!(manifest.text("/metadata/namespace"), "video", "{place}");
        }
    }
}

#[test]
fn names_of_ones_own_stand_before_every_object() {
    for (options, prefix) in [
        ("nameOverride=steering", "live-steering-"),
        ("fullnameOverride=steering", "steering-"),
        ("nameOverride=live", "live-"),
    ] {
        let text = Helm::Four.template("live", &["--set", options]).ok();
        let manifests: Vec<_> = parse(&text).into_iter().map(Manifest).collect();
        for manifest in &manifests {
            assert!(manifest.name().starts_with(prefix), "{options}: {}", manifest.name());
        }
        let has = |kind: &str, name: &str| {
            manifests
                .iter()
                .any(|one| one.kind() == kind && one.name() == format!("{prefix}{name}"))
        };
        assert!(has("StatefulSet", "redirector") && has("Service", "heartbeat-0"), "{options}");
    }
}
