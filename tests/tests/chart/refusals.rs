//! What the chart refuses, and whether it says which key it means.

use tidegate_tests::chart::{HELMS, RELEASE};

/// The options, and what the message must hold.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&["--set-string", "replicas=three"], &["replicas"]),
    (&["--set", "replicas=0"], &["replicas"]),
    (&["--set", "replicas=17"], &["replicas"]),
    (&["--set", "replicas=1.5"], &["replicas"]),
    (&["--set", "replica=2"], &["replica"]),
    (&["--set", "redirector.replicas=2"], &["redirector", "replicas"]),
    (&["--set", "client.service.typ=NodePort"], &["client", "service", "typ"]),
    (&["--set", "client.service.type=Balancer"], &["client", "service", "type"]),
    (&["--set", "client.port=70000"], &["client", "port"]),
    (&["--set", "persistence.enabled=perhaps"], &["persistence", "enabled"]),
    (&["--set", "redirector.firstEdgeWait=soon"], &["firstEdgeWait"]),
    (&["--set", "image.pullPolicy=Sometimes"], &["pullPolicy"]),
    (&["--set", "image.digest=latest"], &["digest"]),
    (&["--set", "keys.generate=false"], &["keys.generate", "keys.existingSecret"]),
    (
        &["--set", "admin.tls.generate=false"],
        &["admin.tls.generate", "admin.tls.existingSecret", "admin.insecure"],
    ),
    (
        &["--set", "admin.tokens.generate=false"],
        &["admin.tokens.generate", "admin.tokens.existingSecret", "admin.clientCA.existingSecret"],
    ),
    (
        &["--set", "admin.insecure=true,admin.tls.generate=false,admin.clientCA.existingSecret=ca"],
        &["admin.clientCA.existingSecret", "admin.tls"],
    ),
    (
        &[
            "--set",
            "metrics.serviceMonitor.enabled=true,admin.insecure=true,admin.tokens.generate=false",
        ],
        &["metrics.serviceMonitor.enabled", "admin.tokens", "ops.open"],
    ),
    (
        &["--set", "replicas=2,heartbeat.clusterIPs={10.96.0.9}"],
        &["heartbeat.clusterIPs", "1", "2"],
    ),
    (&["--set", "replicas=3,heartbeat.hosts={a.example,b.example}"], &["heartbeat.hosts", "3"]),
    (
        &["--set", "replicas=2,heartbeat.service.type=NodePort,heartbeat.nodePorts={31934}"],
        &["heartbeat.nodePorts", "2"],
    ),
    (&["--set", "replicas=2,heartbeat.hosts={a.example,a.example}"], &["heartbeat.hosts"]),
    (&["--set", "heartbeat.nodePorts={31934}"], &["heartbeat.nodePorts", "heartbeat.service.type"]),
    (
        &["--set", "client.service.nodePort=31935"],
        &["client.service.nodePort", "client.service.type"],
    ),
    (
        &["--set", "client.service.loadBalancerIP=192.0.2.1"],
        &["client.service.loadBalancerIP", "LoadBalancer"],
    ),
    (&["--set", "admin.port=1935"], &["1935", "client.port", "admin.port"]),
    (
        &["--set", "client.extraPorts[0].name=http,client.extraPorts[0].port=1935"],
        &["client.extraPorts"],
    ),
    (
        &["--set", "redirector.terminationGracePeriodSeconds=10"],
        &["redirector.terminationGracePeriodSeconds", "redirector.stopDelaySeconds", "15"],
    ),
    // The stop after the delay takes up to 15 s, in which nothing may kill the process.
    (
        &["--set", "redirector.stopDelaySeconds=35"],
        &["redirector.terminationGracePeriodSeconds", "redirector.stopDelaySeconds"],
    ),
];

#[test]
fn wrong_values_are_refused_by_the_name_of_their_key() {
    let mut wrong = Vec::new();
    for helm in HELMS {
        for (options, named) in REFUSED {
            let ran = helm.template(RELEASE, options);
            let missing: Vec<_> = named.iter().filter(|name| !ran.err.contains(**name)).collect();
            if ran.code == Some(0) || !missing.is_empty() {
                wrong.push(format!("{helm:?} {options:?} -> {:?}: {}", ran.code, ran.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_that_no_service_may_have_is_refused() {
    for helm in HELMS {
        let ran = helm.template("1live", &[]);
        assert_ne!(ran.code, Some(0), "{}", ran.out);
        assert!(ran.err.contains("fullnameOverride"), "{}", ran.err);
    }
}

#[test]
fn a_kubernetes_before_1_20_is_refused() {
    for helm in HELMS {
        let ran = helm.template(RELEASE, &["--kube-version", "1.19"]);
        assert_ne!(ran.code, Some(0), "{}", ran.out);
        assert!(ran.err.contains("1.20"), "{}", ran.err);
    }
}
