//! What the chart makes of the cluster that it comes to: its Secrets are kept, and its APIs are used.

use std::collections::BTreeSet;

use tidegate_tests::chart::{Cluster, HELMS, Helm, Manifest};

fn secrets(manifests: &[Manifest]) -> Vec<Manifest> {
    manifests.iter().filter(|manifest| manifest.kind() == "Secret").cloned().collect()
}

#[test]
fn an_upgrade_keeps_every_secret_it_finds() {
    for helm in HELMS {
        let first = Cluster::start(37, "v1", Vec::new()).install(helm, &[]);
        let made = secrets(&first.manifests);
        assert_eq!(made.len(), 3, "{made:?}");
        let again = Cluster::start(37, "v1", made).install(helm, &[]);
        // The fleet key is not even sent again.
        let mut rest = first.manifests;
        rest.retain(|manifest| manifest.name() != "live-tidegate-keys");
        assert_eq!(rest, again.manifests, "{helm:?}");
        assert_eq!(first.notes, again.notes, "{helm:?}");
    }
}

#[test]
fn what_is_missing_of_a_kept_secret_is_made_and_the_rest_stays() {
    let first = Cluster::start(37, "v1", Vec::new()).install(Helm::Four, &[]);
    let mut kept = secrets(&first.manifests);
    let admin = kept.iter_mut().find(|one| one.name() == "live-tidegate-admin").expect("made");
    let before = admin.secret_data();
    let data = admin.0["data"].as_object_mut().expect("data");
    data.remove("metrics-token").expect("was there");
    let again = Cluster::start(37, "v1", kept).install(Helm::Four, &[]);
    let found = again.manifests.iter().find(|one| one.name() == "live-tidegate-admin");
    let after = found.expect("made").secret_data();
    for key in ["ca.crt", "operator-token", "tls.crt", "tls.key"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_ne!(before["metrics-token"], after["metrics-token"]);
    let line = before["tokens"].lines().find(|line| line.contains("operator")).expect("a line");
    assert!(after["tokens"].contains(line), "the operator's token still works");
}

#[test]
fn a_release_that_grows_keeps_its_key_and_its_certificate() {
    let first = Cluster::start(37, "v1", Vec::new()).install(Helm::Three, &[]);
    let made = secrets(&first.manifests);
    let more =
        Cluster::start(37, "v1", made.clone()).install(Helm::Three, &["--set", "replicas=3"]);
    let of = |all: &[Manifest], name: &str| all.iter().find(|one| one.name() == name).cloned();
    let admin = "live-tidegate-admin";
    assert_eq!(of(&made, admin), of(&more.manifests, admin));
    assert_eq!(of(&more.manifests, "live-tidegate-keys"), None, "it stays as it is");
}

#[test]
fn the_budget_is_of_the_version_that_the_cluster_knows() {
    for helm in HELMS {
        for (minor, version) in [(20, "v1beta1"), (37, "v1")] {
            let installed = Cluster::start(minor, version, Vec::new()).install(helm, &[]);
            let budgets: BTreeSet<_> = installed
                .manifests
                .iter()
                .filter(|manifest| manifest.kind() == "PodDisruptionBudget")
                .map(|manifest| manifest.text("/apiVersion"))
                .collect();
            assert_eq!(budgets, [format!("policy/{version}").as_str()].into(), "{helm:?}");
        }
    }
}

#[test]
fn the_notes_address_every_redirector_and_name_what_an_uninstall_leaves() {
    let cluster = Cluster::start(37, "v1", Vec::new());
    for helm in HELMS {
        let notes = cluster.install(helm, &["--set", "replicas=3"]).notes;
        for ordinal in 0..3 {
            let service = format!("service/live-tidegate-admin-{ordinal}");
            assert!(notes.contains(&service), "{service}: {notes}");
        }
        for left in ["delete pvc", "delete secret live-tidegate-keys"] {
            assert!(notes.contains(left), "{left}: {notes}");
        }
        for secret in ["tgt1_", "ehb1:"] {
            assert!(!notes.contains(secret), "{secret}: {notes}");
        }
    }
    let fleeting = cluster.install(Helm::Four, &["--set", "persistence.enabled=false"]).notes;
    assert!(fleeting.contains("persistence.enabled"), "{fleeting}");
}

#[test]
fn the_fleet_key_is_made_outside_of_the_release_so_that_no_rollback_brings_an_old_one_back() {
    let installed = Cluster::start(37, "v1", Vec::new()).install(Helm::Four, &[]);
    let key = installed.manifests.iter().find(|one| one.name() == "live-tidegate-keys");
    let key = key.expect("a key");
    let hooks = key.text("/metadata/annotations/helm.sh~1hook");
    assert_eq!(hooks, "pre-install,pre-upgrade");
}
