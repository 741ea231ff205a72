//! The admin API as operators' own tools see it: grpcurl, over plain text, TLS and mTLS.

use std::path::Path;

use serde_json::{Value, json};
use tidegate_tests::{
    credentials::{Tokens, write_certificates},
    edge::{LiveEdges, SimulatedEdge, loopback_socket},
    process::Process,
    programs::Redirector,
    scene::{Scene, sent_to},
    tools::{Grpcurl, Refusal},
    wait::{SOON, eventually},
};

const SERVICE: &str = "tidegate.admin.v1.FleetService";

#[track_caller]
fn refused(outcome: Result<Value, Refusal>, code: &str, part: &str) {
    let refusal = outcome.expect_err("it was to be refused");
    assert_eq!(refusal.code, code, "{refusal:?}");
    assert!(refusal.message.contains(part), "{part:?} is not in {refusal:?}");
}

#[test]
fn the_api_describes_itself_to_grpcurl() {
    let redirector = Redirector::start();
    let listed = redirector.grpcurl().run(&[], &["list"]).ok();
    for service in [SERVICE, "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{service} is not in {listed}");
    }
    let described = redirector.grpcurl().run(&[], &["describe", SERVICE]).ok();
    for method in ["ListEdges", "GetEdge", "WatchFleet", "DrainEdge", "UndrainEdge", "ForgetEdge"] {
        assert!(described.contains(&format!("rpc {method} (")), "{method} is not in {described}");
    }
    let closed = Redirector::start_with(&[("admin-reflection", "false")]);
    let ran = closed.grpcurl().run(&[], &["list"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn edges_are_listed_page_by_page_and_found_by_name_and_uuid() {
    let scene = Scene::of(&["edge-1", "edge-2", "edge-3"]);
    let grpcurl = scene.redirector.grpcurl();
    let mut names = Vec::new();
    let mut page_token = String::new();
    for _ in 0..3 {
        let request = json!({"page_size": 2, "page_token": page_token});
        let page = grpcurl.fleet("ListEdges", &request).expect("a page");
        let edges = page["edges"].as_array().expect("edges");
        assert!(edges.len() <= 2, "{page}");
        names.extend(edges.iter().map(|edge| edge["name"].as_str().expect("a name").to_owned()));
        page_token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["edge-1", "edge-2", "edge-3"]);
    let filter = json!({"filter": "liveness=UP name=*-2"});
    let filtered = grpcurl.fleet("ListEdges", &filter).expect("a list");
    assert_eq!(filtered["edges"].as_array().map(Vec::len), Some(1), "{filtered}");

    let by_name = grpcurl.fleet("GetEdge", &json!({"edge": "edge-2"})).expect("known");
    let edge = &by_name["edge"];
    assert_eq!(edge["redirectAddress"], "edge-2.example");
    assert_eq!(edge["endpoints"], json!([{"scheme": "http", "port": 8080}]));
    assert_eq!(edge["load"], json!({"viewers": 0}), "unknown is absent, zero is not");
    assert_eq!(edge["adminState"], "ADMIN_STATE_ACTIVE");
    let by_uuid = grpcurl.fleet("GetEdge", &json!({"edge": edge["edgeId"]})).expect("known");
    assert_eq!(by_uuid["edge"]["name"], "edge-2");
}

#[test]
fn a_drain_is_idempotent_and_changes_the_etag_once() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    let grpcurl = scene.redirector.grpcurl();
    let order = json!({"edge": "edge-1", "reason": "kernel update", "request_id": "r-1"});
    let first = grpcurl.fleet("DrainEdge", &order).expect("drained")["edge"].clone();
    let drain = &first["drain"];
    assert_eq!((&drain["reason"], &drain["author"]), (&json!("kernel update"), &json!("local")));
    assert!(drain["createTime"].is_string() && first["eligible"] != true, "{first}");
    let again =
        grpcurl.fleet("DrainEdge", &json!({"edge": "edge-1"})).expect("drained")["edge"].clone();
    assert_eq!((&again["etag"], &again["drain"]), (&first["etag"], drain));
    for _ in 0..100 {
        assert_eq!(sent_to(&scene.redirector.get("/live/a")), "edge-2");
    }
    scene.redirector.until("edge-1", "DRAINED", |edge| edge["adminState"] == "ADMIN_STATE_DRAINED");
    let after = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(after["etag"], first["etag"], "only orders change it");

    let undrained = grpcurl.fleet("UndrainEdge", &json!({"edge": "edge-1"})).expect("undrained");
    assert_ne!(undrained["edge"]["etag"], first["etag"]);
    assert!(undrained["edge"].get("drain").is_none(), "{undrained}");
    eventually(SOON, "edge-1 is chosen again", || match sent_to(&scene.redirector.get("/a")) {
        name if name == "edge-1" => Ok(()),
        name => Err(name),
    });
    let replayed = grpcurl.fleet("DrainEdge", &order).expect("the first call's answer");
    assert_eq!(replayed["edge"]["etag"], first["etag"], "a repeated request_id orders nothing");
    let now = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(now["adminState"], "ADMIN_STATE_ACTIVE", "{now}");
}

#[test]
fn each_error_has_its_code_and_says_what_to_do() {
    let scene = Scene::of(&["edge-1"]);
    let grpcurl = scene.redirector.grpcurl();
    for method in ["GetEdge", "DrainEdge", "UndrainEdge", "ForgetEdge"] {
        refused(grpcurl.fleet(method, &json!({"edge": "edge-9"})), "NotFound", "edge-9");
        refused(grpcurl.fleet(method, &json!({})), "InvalidArgument", "edge");
    }
    for (field, value) in
        [("reason", json!("x".repeat(513))), ("request_id", json!("x".repeat(129)))]
    {
        let request = json!({"edge": "edge-1", field: value});
        refused(grpcurl.fleet("DrainEdge", &request), "InvalidArgument", field);
    }
    let request = json!({"filter": "colour=red"});
    refused(grpcurl.fleet("ListEdges", &request), "InvalidArgument", "filter");
    let request = json!({"page_token": "not one of ours"});
    refused(grpcurl.fleet("ListEdges", &request), "InvalidArgument", "page_token");
    let large = grpcurl.fleet("ListEdges", &json!({"page_size": 2_000_000})).expect("capped");
    assert_eq!(large["edges"].as_array().map(Vec::len), Some(1), "{large}");

    grpcurl.fleet("DrainEdge", &json!({"edge": "edge-1"})).expect("drained");
    let stale = json!({"edge": "edge-1", "etag": "0"});
    refused(grpcurl.fleet("UndrainEdge", &stale), "Aborted", "etag");
    refused(grpcurl.fleet("ForgetEdge", &json!({"edge": "edge-1"})), "FailedPrecondition", "drain");
    grpcurl.fleet("UndrainEdge", &json!({"edge": "edge-1"})).expect("undrained");
    refused(grpcurl.fleet("ForgetEdge", &json!({"edge": "edge-1"})), "FailedPrecondition", "");
    refused(grpcurl.call(&format!("{SERVICE}/Explode"), &json!({})), "", "Explode");
}

#[test]
fn two_live_edges_of_one_name_need_the_uuid() {
    let redirector = Redirector::start();
    let mut first = SimulatedEdge::new(redirector.key(), "edge-1");
    let second = SimulatedEdge::new(redirector.key(), "edge-1");
    let socket = loopback_socket();
    first.beat(&socket, redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "NEW");
    let ids = [first.id.to_string(), second.id.to_string()];
    let _edges = LiveEdges::start(vec![first, second], redirector.ports().heartbeat);
    eventually(SOON, "both are known", || {
        let fleet = redirector.fleet();
        let up = fleet["edges"].as_array().expect("edges").iter();
        let up = up.filter(|edge| edge["liveness"] == "LIVENESS_UP").count();
        if up == 2 { Ok(()) } else { Err(fleet.to_string()) }
    });
    let grpcurl = redirector.grpcurl();
    let outcome = grpcurl.fleet("DrainEdge", &json!({"edge": "edge-1"}));
    let refusal = outcome.expect_err("ambiguous");
    assert_eq!(refusal.code, "FailedPrecondition", "{refusal:?}");
    assert!(ids.iter().all(|id| refusal.message.contains(id)), "{refusal:?}");
    let newer = grpcurl.fleet("GetEdge", &json!({"edge": ids[1]})).expect("known")["edge"].clone();
    assert_eq!(newer["livenessReason"]["code"], "duplicate_name", "{newer}");
    grpcurl.fleet("DrainEdge", &json!({"edge": ids[0]})).expect("drained by UUID");
}

#[test]
fn an_edge_that_said_goodbye_can_be_forgotten() {
    let redirector = Redirector::start();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    let socket = loopback_socket();
    let to = redirector.ports().heartbeat;
    edge.beat(&socket, to);
    edge.beat(&socket, to);
    redirector.until_liveness("edge-1", "UP");
    edge.say_goodbye(&socket, to);
    redirector.until_liveness("edge-1", "GONE");
    redirector.grpcurl().fleet("ForgetEdge", &json!({"edge": "edge-1"})).expect("forgotten");
    refused(
        redirector.grpcurl().fleet("GetEdge", &json!({"edge": "edge-1"})),
        "NotFound",
        "edge-1",
    );
    edge.say_goodbye(&socket, to);
    edge.restart();
    edge.beat(&socket, to);
    redirector.until_liveness("edge-1", "NEW");
}

#[test]
fn a_drain_is_inherited_by_a_new_uuid_of_the_same_name() {
    let redirector = Redirector::start();
    let socket = loopback_socket();
    let to = redirector.ports().heartbeat;
    let mut old = SimulatedEdge::new(redirector.key(), "edge-1");
    old.beat(&socket, to);
    old.beat(&socket, to);
    redirector.until_liveness("edge-1", "UP");
    redirector
        .grpcurl()
        .fleet("DrainEdge", &json!({"edge": "edge-1", "reason": "disk"}))
        .expect("OK");
    old.say_goodbye(&socket, to);
    redirector.until_liveness("edge-1", "GONE");
    let mut new = SimulatedEdge::new(redirector.key(), "edge-1");
    new.beat(&socket, to);
    new.beat(&socket, to);
    let edge = eventually(SOON, "the new UUID is UP", || {
        let found = redirector.grpcurl().fleet("GetEdge", &json!({"edge": new.id.to_string()}));
        let edge = found.map_err(|refusal| format!("{refusal:?}"))?["edge"].clone();
        if edge["liveness"] == "LIVENESS_UP" { Ok(edge) } else { Err(edge.to_string()) }
    });
    assert_eq!(edge["drain"]["reason"], "disk", "{edge}");
    assert_eq!(redirector.get("/live/a").status, 503);
}

#[test]
fn a_watch_shows_the_fleet_then_its_changes() {
    let scene = Scene::of(&["edge-1"]);
    let method = format!("{SERVICE}/WatchFleet");
    let command = scene.redirector.grpcurl().command(&["-d", "{}"], &[&method]);
    let mut watch = Process::start(command, &scene.redirector.home().join("watch.log"));
    let said = |part: &'static str| {
        eventually(SOON, part, || {
            let said = watch.output();
            if said.contains(part) { Ok(said) } else { Err(said) }
        })
    };
    let snapshot = said("KIND_SYNCED");
    assert!(snapshot.contains("KIND_SNAPSHOT") && snapshot.contains("edge-1"), "{snapshot}");
    let order = json!({"edge": "edge-1", "reason": "watched reason"});
    scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    let updated = said("watched reason");
    assert!(updated.contains("KIND_UPDATED"), "{updated}");
    watch.kill();
    scene.redirector.grpcurl().fleet("UndrainEdge", &json!({"edge": "edge-1"})).expect("undrained");
}

#[test]
fn health_is_told_to_everyone() {
    let redirector = Redirector::start();
    for service in ["", SERVICE] {
        let request = json!({"service": service});
        let health = redirector.grpcurl().call("grpc.health.v1.Health/Check", &request);
        assert_eq!(health, Ok(json!({"status": "SERVING"})), "{service:?}");
    }
    let request = json!({"service": "unknown"});
    let unknown = redirector.grpcurl().call("grpc.health.v1.Health/Check", &request);
    refused(unknown, "NotFound", "");
}

/// A redirector whose admin API wants TLS, and what else `more` asks for.
fn protected(folder: &Path, more: &[(&str, &str)]) -> Redirector {
    let [cert, key] =
        ["server.pem", "server.key"].map(|file| folder.join(file).display().to_string());
    let mut flags = vec![("admin-tls-cert", cert.as_str()), ("admin-tls-key", key.as_str())];
    flags.extend(more);
    Redirector::start_with(&flags)
}

#[test]
fn tokens_over_tls_decide_who_may_look_and_who_may_order() {
    let home = tempfile::tempdir().expect("a temporary folder");
    write_certificates(home.path());
    let tokens = Tokens::write(home.path());
    let file = home.path().join("tokens").display().to_string();
    let redirector = protected(home.path(), &[("admin-tokens-file", &file)]);
    let scene = scene_without_ops(redirector);
    let grpcurl = Grpcurl::tls(scene.redirector.ports().admin, &home.path().join("ca.pem"));
    let drain = json!({"edge": "edge-1", "reason": "tokens"});

    // Without a token reflection is refused too, so grpcurl is given the descriptors.
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto").display().to_string();
    let blind = ["-import-path", &protos, "-proto", "tidegate/admin/v1/fleet.proto"];
    refused(
        grpcurl.clone().with(&blind).fleet("ListEdges", &json!({})),
        "Unauthenticated",
        "token",
    );
    let wrong = grpcurl.clone().with(&blind).with_token("tgt1_wrong");
    refused(wrong.fleet("DrainEdge", &drain), "Unauthenticated", "token");

    let viewer = grpcurl.clone().with_token(&tokens.viewer);
    let listed = viewer.fleet("ListEdges", &json!({})).expect("a viewer may look");
    assert_eq!(listed["edges"][0]["name"], "edge-1", "{listed}");
    refused(viewer.fleet("DrainEdge", &drain), "PermissionDenied", "operator");

    let operator = grpcurl.clone().with_token(&tokens.operator);
    let drained = operator.fleet("DrainEdge", &drain).expect("an operator may order");
    assert_eq!(drained["edge"]["drain"]["author"], "operator", "{drained}");

    let log = scene.redirector.output();
    check_audit(&log);
    for secret in [&tokens.viewer, &tokens.operator] {
        assert!(!log.contains(secret.as_str()), "a token is in the log");
    }
}

/// One edge, seen through clients alone.
fn scene_without_ops(redirector: Redirector) -> Scene {
    Scene::around(redirector, &["edge-1"])
}

/// A line for each attempt, allowed or not: who, what, of which edge, and what came of it.
#[track_caller]
fn check_audit(log: &str) {
    let records: Vec<Value> = log
        .lines()
        .filter_map(|line| line.split_once(" audit: "))
        .map(|(_, record)| serde_json::from_str(record).expect("a record is JSON"))
        .collect();
    for (principal, result) in [("viewer", "PERMISSION_DENIED"), ("operator", "ok")] {
        let found = records.iter().any(|record| {
            record["principal"] == principal
                && record["method"] == "DrainEdge"
                && record["result"] == result
        });
        assert!(found, "no audit record of {principal}: {result} in {records:#?}\n{log}");
    }
    assert!(records.iter().any(|r| r["result"] == "UNAUTHENTICATED"), "{records:#?}");
    let allowed = records.iter().find(|r| r["result"] == "ok").expect("checked above");
    assert_eq!((&allowed["edge"], &allowed["reason"]), (&json!("edge-1"), &json!("tokens")));
}

#[test]
fn a_client_certificate_is_an_operator_and_its_absence_is_refused() {
    let home = tempfile::tempdir().expect("a temporary folder");
    write_certificates(home.path());
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"]
        .map(|file| home.path().join(file).display().to_string());
    let scene = Scene::around(protected(home.path(), &[("admin-client-ca", &ca)]), &["edge-1"]);
    let bare = Grpcurl::tls(scene.redirector.ports().admin, Path::new(&ca));
    bare.fleet("DrainEdge", &json!({"edge": "edge-1"})).expect_err("no certificate");
    let known = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(known["adminState"], "ADMIN_STATE_ACTIVE", "{known}");
    let with = bare.with(&["-cert", &cert, "-key", &key]);
    let drained = with.fleet("DrainEdge", &json!({"edge": "edge-1"})).expect("an operator");
    assert!(drained["edge"]["drain"].is_object(), "{drained}");
}

#[test]
fn a_certificate_of_another_authority_does_not_convince_the_client() {
    let (home, other) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    write_certificates(home.path());
    write_certificates(other.path());
    let redirector = protected(home.path(), &[]);
    let stranger = Grpcurl::tls(redirector.ports().admin, &other.path().join("ca.pem"));
    stranger.fleet("ListEdges", &json!({})).expect_err("not trusted");
    let plain = Grpcurl::plain(redirector.ports().admin);
    plain.fleet("ListEdges", &json!({})).expect_err("not encrypted");
    let right = Grpcurl::tls(redirector.ports().admin, &home.path().join("ca.pem"));
    right.fleet("ListEdges", &json!({})).expect("trusted");
}

#[test]
fn off_loopback_without_protection_is_exit_64_and_insecure_is_said_aloud() {
    let redirector = Redirector::start();
    let keys = redirector.home().join("keys").display().to_string();
    let data = redirector.home().join("other").display().to_string();
    let flags = |insecure: &'static str| {
        vec![
            "--check".to_owned(),
            format!("--heartbeat-keys-file={keys}"),
            format!("--data-dir={data}"),
            "--admin-listen=0.0.0.0:0".to_owned(),
            format!("--admin-insecure={insecure}"),
        ]
    };
    let run = |flags: Vec<String>| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        tidegate_tests::programs::redirector_that_ends(&flags)
    };
    let open = run(flags("false"));
    assert_eq!(open.code, Some(64), "{open:?}");
    for part in ["admin.tls_cert", "admin.insecure"] {
        assert!(open.err.contains(part), "{part} is not in {}", open.err);
    }
    let aloud = run(flags("true"));
    assert_eq!(aloud.code, Some(0), "{aloud:?}");
}
