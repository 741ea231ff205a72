use std::time::Duration;

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use url::{Position, Url};

use tidegate_control::snapshot::FleetView;

use super::*;
use crate::{
    answer::{
        apps::{App, Apps, Mode},
        overflow::Overflow,
        tests::snapshot,
    },
    figures::Label,
    sample::{edge, fleet},
};

const NOW: Now = Now { monotonic: Duration::from_secs(10), unix_ms: 1_700_000_000_000 };

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn question<'a>(app: &'a str, tc_url: &'a str) -> ConnectQuestion<'a> {
    ConnectQuestion {
        app,
        tc_url,
        reconnects: false,
        client: CLIENT,
        scheme: Scheme::Rtmp,
        port: 1935,
    }
}

fn ask(question: &ConnectQuestion<'_>, rules: &Rules, fleet: &FleetView) -> ConnectAnswer {
    let random = &mut StdRng::seed_from_u64(1);
    rules
        .route(question)
        .map_or_else(|said| said, |route| route.answer(&[], rules, &snapshot(fleet), NOW, random))
}

fn one(endpoints: &str) -> FleetView {
    fleet(vec![edge("edge-1", "edge-1.example.com", endpoints)])
}

fn with(app: App) -> Rules {
    Rules { apps: Apps::new(vec![app]), ..Rules::default() }
}

/// The URL and the description of a redirect.
fn redirect(answer: ConnectAnswer) -> (String, String) {
    match answer {
        ConnectAnswer::Redirect { url, description } => (url, description),
        other => panic!("no redirect but {other:?}"),
    }
}

fn url_for(question: &ConnectQuestion<'_>, rules: &Rules) -> String {
    redirect(ask(question, rules, &one(""))).0
}

fn plan(answer: ConnectAnswer) -> SplicePlan {
    match answer {
        ConnectAnswer::Splice(plan) => *plan,
        other => panic!("no splice but {other:?}"),
    }
}

#[test]
fn without_any_configuration_every_application_is_redirected() {
    for (app, tc_url, expected) in [
        ("live", "rtmp://lb/live", "rtmp://edge-1.example.com:1935/live"),
        ("redirect/live", "rtmp://lb/redirect/live", "rtmp://edge-1.example.com:1935/live"),
        ("redirect/live/a", "rtmp://lb/redirect", "rtmp://edge-1.example.com:1935/live/a"),
        ("redirect", "rtmp://lb/redirect", "rtmp://edge-1.example.com:1935/redirect"),
        ("live/_definst_", "", "rtmp://edge-1.example.com:1935/live/_definst_"),
        ("live?tok=%2F&a=b@c", "", "rtmp://edge-1.example.com:1935/live?tok=%2F&a=b@c"),
        ("live", "rtmp://lb/live?t=1", "rtmp://edge-1.example.com:1935/live?t=1"),
        ("live?t=1", "rtmp://lb/live?t=1", "rtmp://edge-1.example.com:1935/live?t=1"),
        ("", "rtmp://lb:80/live/", "rtmp://edge-1.example.com:1935/live"),
    ] {
        let url = url_for(&question(app, tc_url), &Rules::default());
        assert_eq!(url, expected, "{app:?} {tc_url:?}");
    }
}

#[test]
fn a_redirect_counts_and_its_port_is_always_there() {
    let fleet = one("rtmp:80 http:8080");
    let (url, description) = redirect(ask(&question("live?t=1", ""), &Rules::default(), &fleet));
    assert_eq!(url, "rtmp://edge-1.example.com:80/live?t=1");
    assert_eq!(description, "redirect to rtmp://edge-1.example.com:80/live");
    assert_eq!(fleet.edges[0].cell.handed(), 1);
}

#[test]
fn an_ipv6_edge_is_in_brackets() {
    let fleet = fleet(vec![edge("edge-1", "2001:db8::7", "")]);
    let (url, _) = redirect(ask(&question("live", ""), &Rules::default(), &fleet));
    assert_eq!(url, "rtmp://[2001:db8::7]:1935/live");
}

#[test]
fn the_scheme_is_the_clients_until_the_operator_sets_one() {
    use Scheme::{Https, Rtmp, Rtmps, Rtmpt, Rtmpts};
    for (tc_url, carrier, of_app, of_client, expected) in [
        ("rtmp://lb/live", Rtmp, None, None, "rtmp:"),
        ("rtmp://lb/live", Rtmps, None, None, "rtmps:"),
        ("RTMPT://lb/live", Rtmpts, None, None, "rtmpts:"),
        ("javascript://lb/live", Rtmps, None, None, "rtmps:"),
        ("rtmp://lb/live", Rtmp, Some(Rtmps), None, "rtmps:"),
        ("rtmp://lb/live", Rtmp, Some(Rtmps), Some(Rtmpt), "rtmps:"),
        ("rtmp://lb/live", Rtmps, None, Some(Rtmp), "rtmp:"),
        ("rtmp://lb/live", Rtmp, None, Some(Https), "rtmp:"),
    ] {
        let app = App { redirect_scheme: of_app, ..App::named("*") };
        let rules = Rules { redirect_scheme: of_client, ..with(app) };
        let question = ConnectQuestion { scheme: carrier, ..question("live", tc_url) };
        let url = url_for(&question, &rules);
        assert!(url.starts_with(expected), "{tc_url} over {carrier}: {url}");
    }
}

#[test]
fn the_applications_port_goes_before_the_one_for_all() {
    for (of_app, of_client, expected) in
        [(None, None, ":1935/"), (None, Some(80), ":80/"), (Some(443), Some(80), ":443/")]
    {
        let app = App { redirect_port: of_app, ..App::named("*") };
        let rules = Rules { redirect_port: of_client, ..with(app) };
        let url = url_for(&question("live", ""), &rules);
        assert!(url.contains(expected), "{url}");
    }
}

#[test]
fn a_set_application_replaces_the_path_and_keeps_the_query() {
    let rules = with(App { redirect_app: Some("edge/main".into()), ..App::named("live") });
    let url = url_for(&question("live/a?t=1", ""), &rules);
    assert_eq!(url, "rtmp://edge-1.example.com:1935/edge/main?t=1");
}

#[test]
fn clients_that_get_no_edge_are_told_why() {
    let rules = with(App::named("live"));
    let ignore_clients = vec!["192.0.2.0/24".parse().expect("a network")];
    let ignoring = Rules { ignore_clients, ..Rules::default() };
    let empty = FleetView::default();
    for (app, rules, fleet, code, words) in [
        ("live", &rules, &empty, "empty_fleet", "no edge available: no edge has reported yet"),
        ("live", &rules, &one("rtmps:443"), "no_endpoint", "no edge available: no healthy edge"),
        ("vod", &rules, &one(""), "unknown_app", "no application of this name"),
        ("", &rules, &one(""), "no_app", "name an application"),
        ("//evil", &rules, &one(""), "app_invalid", "visible ASCII"),
        ("", &ignoring, &one(""), "client_ignored", "ignore_clients"),
    ] {
        let answer = ask(&question(app, ""), rules, fleet);
        assert_eq!(answer.kind().as_str(), code, "{app:?}");
        let said = answer.description().expect("a rejection has a description");
        assert!(said.contains(words), "{app:?}: {said}");
    }
    assert!(ConnectAnswer::LoopGuard.description().is_some());
}

#[test]
fn a_client_may_be_accepted_and_ask_for_a_host() {
    let rules = with(App { redirect_on_connect: false, ..App::named("live") });
    let fleet = one("rtmp:1935");
    let answer = ask(&question("live", ""), &rules, &fleet);
    assert!(matches!(answer, ConnectAnswer::Accept), "{answer:?}");
    assert_eq!((answer.description(), fleet.edges[0].cell.handed()), (None, 0));
    for app in ["live?redirect=true", "live?a=b&redirect=1"] {
        let url = url_for(&question(app, ""), &rules);
        assert_eq!(url, format!("rtmp://edge-1.example.com:1935/{app}"));
    }
}

#[test]
fn a_call_names_the_bare_host_and_counts() {
    let random = &mut StdRng::seed_from_u64(1);
    // As `/loadbalancer` does: whatever the edge serves.
    let fleet = fleet(vec![edge("edge-1", "2001:db8::7", "http:8080")]);
    let answer = host_for_call(&Rules::default(), &snapshot(&fleet), CLIENT, 1935, NOW, random);
    assert_eq!(answer, (ConnectKind::Host, "2001:db8::7".to_owned()));
    assert_eq!(fleet.edges[0].cell.handed(), 1);
    let answer = host_for_call(
        &Rules::default(),
        &snapshot(&FleetView::default()),
        CLIENT,
        1935,
        NOW,
        random,
    );
    assert_eq!(answer, (ConnectKind::NoEdge(NoEdge::EmptyFleet), "unknown".to_owned()));
}

#[test]
fn only_clients_that_can_reconnect_are_asked_to() {
    let rules = with(App { reconnect_request: true, ..App::named("*") });
    for reconnects in [false, true] {
        let question = ConnectQuestion { reconnects, ..question("live?t=1", "") };
        assert!(rules.route(&question).expect("a route").is_redirect());
        match ask(&question, &rules, &one("")) {
            ConnectAnswer::Reconnect(url) => {
                assert!(reconnects);
                assert_eq!(url, "rtmp://edge-1.example.com:1935/live?t=1");
            }
            other => assert!(!reconnects && matches!(other, ConnectAnswer::Redirect { .. })),
        }
    }
    let able = ConnectQuestion { reconnects: true, ..question("live", "") };
    assert!(matches!(ask(&able, &Rules::default(), &one("")), ConnectAnswer::Redirect { .. }));
}

#[test]
fn a_splice_reaches_the_edge_by_plain_rtmp_whatever_carries_the_client() {
    let rules = with(App { mode: Mode::Splice, ..App::named("live") });
    for scheme in [Scheme::Rtmp, Scheme::Rtmps] {
        let question =
            ConnectQuestion { scheme, port: 443, ..question("live/a?t=1", "rtmps://lb") };
        assert!(!rules.route(&question).expect("a route").is_redirect());
        let plan = plan(ask(&question, &rules, &one("rtmps:444 rtmp:1935")));
        assert_eq!((plan.picked.scheme, plan.picked.port), (Scheme::Rtmp, 1935));
        assert_eq!(plan.app, "a?t=1");
        assert_eq!(plan.tc_url, "rtmp://edge-1.example.com:1935/a?t=1");
    }
    let only_rtmps = ask(&question("live", ""), &rules, &one("rtmps:444"));
    assert!(matches!(only_rtmps, ConnectAnswer::NoEdge(NoEdge::NoEndpoint)), "{only_rtmps:?}");
}

#[test]
fn a_splice_keeps_the_query_where_the_client_had_it() {
    let splice = App { mode: Mode::Splice, redirect_port: Some(1936), ..App::named("*") };
    let rules = Rules { redirect_scheme: Some(Scheme::Rtmps), ..with(splice) };
    let plan = plan(ask(&question("live", "rtmp://lb/live?t=1"), &rules, &one("rtmp:1935")));
    assert_eq!(plan.app, "live");
    assert_eq!(plan.tc_url, "rtmp://edge-1.example.com:1936/live?t=1");
}

#[test]
fn what_came_through_a_tunnel_is_redirected_where_others_are_spliced() {
    let rules = with(App { mode: Mode::Splice, ..App::named("*") });
    for (scheme, expected) in [
        (Scheme::Rtmpt, "rtmpt://edge-1.example.com:1935/live"),
        (Scheme::Rtmpts, "rtmpts://edge-1.example.com:1935/live"),
    ] {
        let question = ConnectQuestion { scheme, ..question("live", "rtmp://lb/live") };
        assert!(rules.route(&question).expect("a route").is_redirect());
        assert_eq!(url_for(&question, &rules), expected);
    }
}

#[test]
fn the_guards_key_is_the_application_on_the_edge() {
    let rules = Rules::default();
    for (app, expected) in
        [("redirect/live", "live"), ("live", "live"), ("live?n=1", "live"), ("vod/a", "vod/a")]
    {
        assert_eq!(rules.route(&question(app, "")).expect("a route").application(), expected);
    }
}

#[test]
fn no_answer_leads_back_to_the_redirector() {
    let own = std::collections::HashSet::from([(IpAddr::from([10, 0, 0, 1]), 1935)]);
    for mode in [Mode::Redirect, Mode::Splice] {
        let rules = Rules { own: own.clone(), ..with(App { mode, ..App::named("*") }) };
        let back = ask(&question("live", ""), &rules, &fleet(vec![edge("a", "10.0.0.1", "")]));
        assert!(matches!(back, ConnectAnswer::NoEdge(NoEdge::NoEndpoint)), "{back:?}");
    }
}

#[test]
fn a_description_never_orders_a_client_to_authenticate() {
    for app in ["authmod=adobe", "a/AuthMod=llnw", "live?reason=needauth", "live?authmod=adobe"] {
        let (url, description) = redirect(ask(&question(app, ""), &Rules::default(), &one("")));
        assert!(url.ends_with(app), "{url}");
        let said = description.to_ascii_lowercase();
        assert!(!said.contains("authmod=") && !said.contains("?reason="), "{description}");
        assert!(said.starts_with("redirect to rtmp://edge-1.example.com:1935"), "{description}");
    }
}

/// Text as hostile clients write it: pieces of URLs, in any order, and anything at all.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "rtmp:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "evil.com",
        ":80",
        "?",
        "#",
        "..",
        ".",
        "%2e",
        "%5c",
        "%00",
        "redirect",
        "live",
        "_definst_",
        "[::1]",
        " ",
        "\"",
        "\u{202e}",
        "é",
        "%",
        "&",
        "redirect=1",
        "authmod=",
        "*",
        ";",
    ]);
    let built = prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat());
    prop_oneof![built, "[!-~]{0,40}", ".{0,40}"]
}

/// What every URL that leaves here is, whatever was asked.
fn check_url(url: &str, host: &str) {
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
    let read = Url::parse(url).unwrap_or_else(|why| panic!("{url:?}: {why}"));
    assert_eq!((read.host_str(), read.port()), (Some(host), Some(1935)), "{url:?}");
    assert_eq!((read.username(), read.password(), read.fragment()), ("", None, None), "{url:?}");
    assert_eq!(&read[..Position::BeforePath], format!("rtmp://{host}:1935"), "{url:?}");
    let path = url.split('?').next().unwrap_or_default();
    assert!(!path.ends_with('/') && path.matches("//").count() == 1, "{url:?}");
    let kept = read.path().matches('/').count();
    assert_eq!(path.matches('/').count(), kept + 2, "no reader takes segments out of {url:?}");
}

proptest! {
    #[test]
    fn no_text_leads_anywhere_but_to_the_edge(app in hostile(), tc_url in hostile()) {
        for host in ["edge-1.example.com", "192.0.2.7", "[2001:db8::7]"] {
            let fleet = fleet(vec![edge("edge-1", host, "rtmp:1935 rtmps:1935 rtmpt:1935")]);
            let rules = with(App { redirect_scheme: Some(Scheme::Rtmp), ..App::named("*") });
            match ask(&question(&app, &tc_url), &rules, &fleet) {
                ConnectAnswer::Redirect { url, description } => {
                    check_url(&url, host);
                    prop_assert!(!description.to_ascii_lowercase().contains("authmod="));
                }
                ConnectAnswer::NoApp | ConnectAnswer::AppInvalid => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn honest_applications_are_kept_byte_for_byte(
        app in "[a-z0-9_.:=;,~-]{0,8}[a-z](/[a-z0-9_:=;,~-]{1,8}){0,3}",
        query in "([!$&-;=?-Z^_a-z{|}~]{1,40})?",
    ) {
        let rules = with(App::named("*"));
        let mark = if query.is_empty() { "" } else { "?" };
        let asked = format!("{app}{mark}{query}");
        let expected = format!("rtmp://edge-1.example.com:1935/{asked}");
        prop_assert_eq!(url_for(&question(&asked, ""), &rules), expected.clone());
        let tc_url = format!("rtmp://lb.example.com/{asked}");
        prop_assert_eq!(url_for(&question(&app, &tc_url), &rules), expected.clone());
        prop_assert_eq!(url_for(&question("", &tc_url), &rules), expected);
    }
}

fn overflow(targets: &str) -> Overflow {
    let parse = |text: &str| text.parse().expect("a target");
    Overflow::new(targets.split_whitespace().map(parse).collect())
}

#[test]
fn without_an_edge_the_client_is_told_another_place() {
    let rules = Rules {
        overflow: overflow("https://cdn.example.com rtmp://backup.example.com"),
        ..with(App { reconnect_request: true, ..App::named("*") })
    };
    let empty = FleetView::default();
    let answer = ask(&question("live?tok=1", "rtmp://lb/live?tok=1"), &rules, &empty);
    assert_eq!(answer.kind(), ConnectKind::Overflow);
    let said = answer.description().expect("it is a rejection");
    assert_eq!(said, "redirect to rtmp://backup.example.com:1935/live");
    let ConnectAnswer::Overflow { url, reconnects: false, .. } = answer else {
        panic!("no rejection but {answer:?}");
    };
    assert_eq!(url, "rtmp://backup.example.com:1935/live?tok=1");
    let again = ConnectQuestion { reconnects: true, ..question("live", "rtmp://lb/live") };
    let answer = ask(&again, &rules, &empty);
    assert!(matches!(answer, ConnectAnswer::Overflow { reconnects: true, .. }), "{answer:?}");
    let tunnelled = ConnectQuestion { scheme: Scheme::Rtmpt, ..question("live", "") };
    let answer = ask(&tunnelled, &rules, &empty);
    assert_eq!(answer.kind(), ConnectKind::NoEdge(NoEdge::EmptyFleet), "there is none for rtmpt");
    let encrypted = ConnectQuestion { scheme: Scheme::Rtmps, ..question("live", "") };
    let answer = ask(&encrypted, &rules, &empty);
    assert_eq!(answer.kind(), ConnectKind::NoEdge(NoEdge::EmptyFleet), "never to plain");
    let random = &mut StdRng::seed_from_u64(1);
    let called = host_for_call(&rules, &snapshot(&empty), CLIENT, 1935, NOW, random);
    assert_eq!(called, (ConnectKind::Overflow, "backup.example.com".to_owned()));
    let rules = Rules { overflow: overflow("https://cdn.example.com"), ..Rules::default() };
    let called = host_for_call(&rules, &snapshot(&empty), CLIENT, 1935, NOW, random);
    assert_eq!(called, (ConnectKind::NoEdge(NoEdge::EmptyFleet), "unknown".to_owned()));
    assert_eq!(ask(&question("live", ""), &rules, &one("")).kind(), ConnectKind::Redirect);
}

#[test]
fn a_splice_stays_within_the_fleet() {
    let rules = Rules {
        overflow: overflow("rtmp://backup.example.com"),
        ..with(App { mode: Mode::Splice, ..App::named("*") })
    };
    let answer = ask(&question("live", "rtmp://lb/live"), &rules, &FleetView::default());
    assert_eq!(answer.kind(), ConnectKind::NoEdge(NoEdge::EmptyFleet));
}
