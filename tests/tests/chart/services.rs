//! Who reaches which pods: heartbeats and orders must reach every redirector, clients any of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_tests::chart::{Manifest, NAMESPACE, Rendering, rendering, renderings};

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const HEARTBEATS: u64 = 1934;
const ADMIN: u64 = 1936;

fn ports(service: &Manifest) -> BTreeSet<u64> {
    service.list("/spec/ports").iter().filter_map(|port| port["port"].as_u64()).collect()
}

/// The labels of a redirector's pod, as the StatefulSet's controller completes them.
fn pod_labels(one: &Rendering, ordinal: u64) -> BTreeMap<String, String> {
    let template = one.redirectors().pod().expect("a pod");
    let mut labels: BTreeMap<_, _> = template
        .labels("/metadata/labels")
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    labels.insert(POD_NAME.to_owned(), format!("{}-{ordinal}", one.redirectors().name()));
    labels
}

/// Which redirectors a Service leads to.
fn chosen(one: &Rendering, service: &Manifest) -> Vec<u64> {
    let selector = service.labels("/spec/selector");
    assert!(!selector.is_empty(), "{one}: {} selects nothing", service.name());
    let holds = |ordinal: &u64| {
        let labels = pod_labels(one, *ordinal);
        selector.iter().all(|(key, value)| labels.get(*key).map(String::as_str) == Some(*value))
    };
    (0..one.replicas()).filter(holds).collect()
}

#[test]
fn every_replica_has_a_service_of_its_own_for_heartbeats_and_for_orders() {
    for one in renderings() {
        for (what, port, protocol) in [("heartbeat", HEARTBEATS, "UDP"), ("admin", ADMIN, "TCP")] {
            for ordinal in 0..one.replicas() {
                let service = one.the("Service", &format!("live-tidegate-{what}-{ordinal}"));
                assert_eq!(chosen(one, service), [ordinal], "{one}: {}", service.name());
                assert_eq!(ports(service), [port].into(), "{one}: {}", service.name());
                let spoken = service.text("/spec/ports/0/protocol");
                assert_eq!(spoken, protocol, "{one}: {}", service.name());
                let early = service.at("/spec/publishNotReadyAddresses");
                assert_eq!(early, &json!(true), "{one}: {}", service.name());
            }
            let prefix = format!("live-tidegate-{what}-");
            let all = one.of_kind("Service").filter(|service| service.name().starts_with(&prefix));
            assert_eq!(all.count() as u64, one.replicas(), "{one}: {what}");
        }
    }
}

#[test]
fn no_service_spreads_heartbeats_or_orders_over_several_redirectors() {
    for one in renderings().iter().filter(|one| one.replicas() > 1) {
        for service in one.of_kind("Service") {
            let spreads =
                service.text("/spec/clusterIP") != "None" && chosen(one, service).len() > 1;
            let dangerous = [HEARTBEATS, ADMIN].iter().any(|port| ports(service).contains(port));
            assert!(!(spreads && dangerous), "{one}: {}", service.name());
        }
    }
}

#[test]
fn clients_reach_every_ready_redirector_and_no_other() {
    for one in renderings() {
        let service = one.the("Service", "live-tidegate-clients");
        let everyone: Vec<_> = (0..one.replicas()).collect();
        assert_eq!(chosen(one, service), everyone, "{one}");
        assert!(ports(service).contains(&1935), "{one}");
        assert_eq!(service.at("/spec/publishNotReadyAddresses"), &Value::Null, "{one}");
    }
}

#[test]
fn every_port_that_a_service_or_probe_names_is_one_of_the_container() {
    for one in renderings() {
        let pod = one.redirectors().pod().expect("a pod");
        let container = Manifest(pod.at("/spec/containers/0").clone());
        let of = |key: &str| -> Vec<Value> {
            container.list("/ports").iter().map(|port| port[key].clone()).collect()
        };
        let (names, numbers) = (of("name"), of("containerPort"));
        for service in one.of_kind("Service") {
            for port in service.list("/spec/ports") {
                let target = port.get("targetPort").unwrap_or(&port["port"]);
                let found = names.contains(target) || numbers.contains(target);
                assert!(found, "{one}: {} leads to {target}", service.name());
            }
        }
    }
}

/// The hosts and ports of a targets file.
fn targets(one: &Rendering) -> Vec<(String, u16)> {
    let secrets = one.secrets();
    let text = &secrets["live-tidegate-targets"]["loadbalancertargets.txt"];
    let parse = |line: &str| {
        let mut fields = line.split(',');
        let host = fields.next().expect("a host").to_owned();
        let port = fields.next().and_then(|port| port.parse().ok()).expect("a port");
        let key: Vec<_> = fields.collect();
        assert_eq!(key, ["${file:/etc/tidegate/keys/keys}"], "{one}: no key in the file itself");
        (host, port)
    };
    text.lines().map(parse).collect()
}

#[test]
fn edges_report_to_every_replica_where_it_can_be_reached() {
    for one in renderings() {
        let targets = targets(one);
        assert_eq!(targets.len() as u64, one.replicas(), "{one}");
        let different: BTreeSet<_> = targets.iter().collect();
        assert_eq!(different.len(), targets.len(), "{one}: {targets:?}");
    }
    let names = |case: &str| targets(rendering(case));
    let service = |ordinal| {
        (format!("live-tidegate-heartbeat-{ordinal}.{NAMESPACE}.svc.cluster.local"), 1934)
    };
    assert_eq!(names("several-replicas"), [service(0), service(1), service(2)]);
    assert_eq!(
        names("fixed-addresses"),
        [("10.96.0.201".to_owned(), 1934), ("10.96.0.202".to_owned(), 1934)]
    );
    assert_eq!(names("ipv6")[1], ("[fd00::202]".to_owned(), 1934));
    assert_eq!(names("load-balancers")[1], ("hb-1.example.com".to_owned(), 1934));
    assert_eq!(names("node-ports")[0], ("node-a.example.com".to_owned(), 31934));
}

#[test]
fn given_addresses_and_ports_are_those_of_the_services() {
    let fixed = rendering("fixed-addresses");
    assert_eq!(
        fixed.the("Service", "live-tidegate-heartbeat-1").text("/spec/clusterIP"),
        "10.96.0.202"
    );
    assert_eq!(
        fixed.the("Service", "live-tidegate-clients").text("/spec/clusterIP"),
        "10.96.0.200"
    );
    let nodes = rendering("node-ports");
    let port = |name: &str| nodes.the("Service", name).at("/spec/ports/0/nodePort").as_u64();
    assert_eq!(port("live-tidegate-heartbeat-0"), Some(31934));
    assert_eq!(port("live-tidegate-heartbeat-1"), Some(31944));
    assert_eq!(port("live-tidegate-clients"), Some(31935));
    let balanced = rendering("load-balancers").the("Service", "live-tidegate-clients");
    assert_eq!(balanced.text("/spec/type"), "LoadBalancer");
    assert_eq!(balanced.text("/spec/loadBalancerClass"), "example.com/public");
    assert_eq!(balanced.text("/spec/loadBalancerIP"), "192.0.2.10");
    assert_eq!(balanced.text("/spec/externalTrafficPolicy"), "Local");
    assert_eq!(balanced.list("/spec/loadBalancerSourceRanges").len(), 2);
    assert_eq!(ports(balanced), [80, 443, 1935].into());
}

#[test]
fn a_network_policy_lets_in_the_four_ports_and_nothing_else() {
    for one in renderings() {
        let Some(policy) = one.of_kind("NetworkPolicy").next() else {
            assert_eq!(one.case.name, "insecure-lab");
            continue;
        };
        assert_eq!(policy.at("/spec/policyTypes"), &json!(["Ingress"]), "{one}");
        let open: BTreeSet<_> = policy
            .list("/spec/ingress")
            .iter()
            .flat_map(|rule| rule["ports"].as_array().expect("ports in every rule"))
            .map(|port| (port["port"].as_u64(), port["protocol"].as_str()))
            .collect();
        let pod = one.redirectors().pod().expect("a pod");
        let listened: BTreeSet<_> = pod
            .list("/spec/containers/0/ports")
            .iter()
            .map(|port| (port["containerPort"].as_u64(), port["protocol"].as_str().or(Some("TCP"))))
            .collect();
        assert_eq!(open, listened, "{one}");
        let selector = policy.labels("/spec/podSelector/matchLabels");
        let labels = pod_labels(one, 0);
        assert!(selector.iter().all(|(key, value)| labels[*key] == *value), "{one}");
    }
}

#[test]
fn redirectors_go_one_by_one_when_nodes_are_drained() {
    for one in renderings() {
        let Some(budget) = one.of_kind("PodDisruptionBudget").next() else {
            assert_eq!(one.case.name, "insecure-lab");
            continue;
        };
        assert_eq!(budget.at("/spec/maxUnavailable"), &json!(1), "{one}");
        let wanted = one.redirectors().at("/spec/selector");
        assert_eq!(budget.at("/spec/selector"), wanted, "{one}");
    }
}

#[test]
fn every_port_names_its_protocol() {
    // Helm 4 applies on the server's side, where ports are told apart by number and protocol.
    for one in renderings() {
        for manifest in &one.manifests {
            let pod = manifest.pod();
            let containers = pod.iter().flat_map(Manifest::containers);
            let of_containers = containers.flat_map(|container| container.list("/ports").to_vec());
            for port in of_containers.chain(manifest.list("/spec/ports").to_vec()) {
                assert!(port["protocol"].is_string(), "{one}: {}: {port}", manifest.name());
            }
        }
    }
}
