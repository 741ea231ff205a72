//! What the pods may do, how they are asked how they are, and how they end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_tests::chart::{Manifest, Rendering, rendering, renderings};

/// How long a redirector may take after the stop delay until it is gone.
const STOP_SECONDS: u64 = 15;

fn pods() -> impl Iterator<Item = (&'static Rendering, &'static Manifest, Manifest)> {
    renderings().iter().flat_map(|one| {
        let made = one.manifests.iter().filter_map(|manifest| Some((manifest, manifest.pod()?)));
        made.map(move |(manifest, pod)| (one, manifest, pod))
    })
}

#[test]
fn no_container_may_do_more_than_run() {
    let mut seen = 0;
    for (one, manifest, pod) in pods() {
        assert_eq!(pod.at("/spec/securityContext/runAsNonRoot"), &json!(true), "{one}");
        assert_eq!(pod.at("/spec/securityContext/runAsUser"), &json!(65532), "{one}");
        assert_eq!(pod.text("/spec/securityContext/seccompProfile/type"), "RuntimeDefault");
        for container in pod.containers() {
            let place = format!("{one}: {} of {}", container.text("/name"), manifest.name());
            let context = Manifest(container.at("/securityContext").clone());
            assert_eq!(context.at("/allowPrivilegeEscalation"), &json!(false), "{place}");
            assert_eq!(context.at("/readOnlyRootFilesystem"), &json!(true), "{place}");
            assert_eq!(context.at("/capabilities/drop"), &json!(["ALL"]), "{place}");
            assert_eq!(context.at("/privileged"), &Value::Null, "{place}");
            assert_eq!(context.at("/seccompProfile"), &Value::Null, "{place}: the pod's holds");
            // It gives the agent's folder on the node to the agent, and nothing else.
            let prepares = container.text("/name") == "prepare-state";
            assert_eq!(context.at("/capabilities/add").is_array(), prepares, "{place}");
            assert_eq!(context.at("/runAsNonRoot") == &json!(false), prepares, "{place}");
            assert_eq!(context.at("/runAsUser") == &json!(0), prepares, "{place}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} containers");
}

#[test]
fn the_container_that_is_root_only_prepares_the_agents_folder() {
    let pod = rendering("daemonset-agents").the("DaemonSet", "live-tidegate-agent").pod();
    let pod = pod.expect("a pod");
    let [prepare] = pod.list("/spec/initContainers") else { panic!("{pod:?}") };
    let prepare = Manifest(prepare.clone());
    assert_eq!(prepare.at("/command"), &json!(["/usr/bin/tidegate-agent"]));
    assert_eq!(prepare.text("/args/0"), "prepare-state");
    let mounts: Vec<_> = prepare.list("/volumeMounts").iter().map(|one| &one["name"]).collect();
    assert_eq!(mounts, ["state"]);
    let added: BTreeSet<_> = prepare
        .list("/securityContext/capabilities/add")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(added.is_subset(&["CHOWN", "FOWNER", "DAC_OVERRIDE"].into()), "{added:?}");
}

#[test]
fn pods_have_no_rights_in_the_cluster_and_no_variables_of_services() {
    for (one, manifest, pod) in pods() {
        let place = format!("{one}: {}", manifest.name());
        assert_eq!(pod.at("/spec/automountServiceAccountToken"), &json!(false), "{place}");
        assert_eq!(pod.at("/spec/enableServiceLinks"), &json!(false), "{place}");
        for host in ["hostPID", "hostIPC", "shareProcessNamespace"] {
            assert_eq!(pod.at(&format!("/spec/{host}")), &Value::Null, "{place}");
        }
        let account = one.the("ServiceAccount", pod.text("/spec/serviceAccountName"));
        assert_eq!(account.at("/automountServiceAccountToken"), &json!(false), "{place}");
    }
    for one in renderings() {
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            assert_eq!(one.of_kind(kind).count(), 0, "{one}: a {kind}");
        }
    }
}

#[test]
fn a_redirector_is_asked_three_different_questions() {
    for one in renderings() {
        let pod = one.redirectors().pod().expect("a pod");
        let container = Manifest(pod.at("/spec/containers/0").clone());
        let probes = [
            ("startupProbe", "/startupz"),
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
        ];
        for (probe, path) in probes {
            assert_eq!(container.text(&format!("/{probe}/httpGet/path")), path, "{one}");
            assert_eq!(container.text(&format!("/{probe}/httpGet/port")), "ops", "{one}");
        }
    }
}

#[test]
fn a_start_that_waits_for_the_first_edge_is_not_taken_for_a_failure() {
    for one in renderings() {
        let pod = one.redirectors().pod().expect("a pod");
        let container = Manifest(pod.at("/spec/containers/0").clone());
        let number = |key: &str| container.at(&format!("/startupProbe/{key}")).as_u64();
        let patience = number("periodSeconds").zip(number("failureThreshold"));
        let patience = patience.map(|(period, failures)| period * failures).expect("numbers");
        let wait = container.env()["TIDEGATE_REDIRECTOR__OPS__FIRST_EDGE_WAIT"].to_owned();
        let several = one.replicas() > 1;
        assert_eq!(wait, if several { "3m" } else { "0s" }, "{one}");
        assert!(patience > if several { 180 } else { 0 } + 60, "{one}: {patience} s");
    }
}

#[test]
fn nobody_is_killed_while_it_stops_in_order() {
    for one in renderings() {
        let pod = one.redirectors().pod().expect("a pod");
        let grace = pod.at("/spec/terminationGracePeriodSeconds").as_u64().expect("seconds");
        let container = Manifest(pod.at("/spec/containers/0").clone());
        let delay = container.env()["TIDEGATE_REDIRECTOR__OPS__STOP_DELAY"].to_owned();
        let delay: u64 = delay.trim_end_matches('s').parse().expect("seconds");
        assert!(grace >= delay + STOP_SECONDS, "{one}: {grace} s for a delay of {delay} s");
    }
}

#[test]
fn a_changed_configuration_makes_new_pods_and_a_new_secret_does_not() {
    let checksum = |case: &str| {
        let pod = rendering(case).redirectors().pod().expect("a pod");
        pod.text("/metadata/annotations/checksum~1config").to_owned()
    };
    assert_eq!(checksum("default").len(), 64);
    assert_eq!(checksum("default"), checksum("existing-secrets"));
    assert_ne!(checksum("default"), checksum("several-replicas"));
}

#[test]
fn secrets_are_mounted_for_the_group_alone_and_never_by_sub_path() {
    for (one, manifest, pod) in pods() {
        for volume in pod.list("/spec/volumes").iter().filter(|volume| volume["secret"].is_object())
        {
            let place = format!("{one}: {} of {}", volume["name"], manifest.name());
            let only_public = volume["secret"]["items"]
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item["key"] == "ca.crt"));
            assert!(only_public || volume["secret"]["defaultMode"] == 0o440, "{place}");
            assert!(volume["secret"]["items"].is_array(), "{place}: names what it mounts");
        }
        for container in pod.containers() {
            for mount in container.list("/volumeMounts") {
                // A file mounted so is never replaced when the Secret changes.
                assert_eq!(mount.get("subPath"), None, "{one}: {mount}");
            }
        }
        assert_eq!(pod.at("/spec/securityContext/fsGroup"), &json!(65532), "{one}");
    }
}
