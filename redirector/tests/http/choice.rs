//! Which edges a client can be sent to, by where it is and by what it asks for.

use tidegate_control::{
    selection::{Rule, Selection, Zone, Zones},
    snapshot::EdgeView,
};
use tidegate_proto::edge::Labels;
use tidegate_redirector::answer::Rules;

use super::{sample, start_with};

fn labels(key: &str, value: &str) -> Labels {
    Labels::from([(key.into(), value.into())])
}

fn labelled(name: &str, labels: Labels) -> EdgeView {
    EdgeView { labels, ..sample::edge(name, &format!("{name}.example.com"), "http:80") }
}

fn in_zones() -> Selection {
    let zone = |name: &str, network: &str| Zone {
        name: name.into(),
        networks: vec![network.parse().expect("a network")],
        ..Zone::default()
    };
    let zones = Zones::new(&[zone("eu", "10.0.0.0/8"), zone("us", "127.0.0.0/8")]);
    Selection { zones: zones.expect("two zones"), ..Selection::default() }
}

#[tokio::test]
async fn only_a_trusted_proxy_can_say_that_a_client_is_of_another_zone() {
    let forged = "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n";
    for (trusted, location) in [
        (vec![], "http://us.example.com:80/a"),
        (vec!["192.0.2.0/24"], "http://us.example.com:80/a"),
        (vec!["127.0.0.0/8"], "http://eu.example.com:80/a"),
    ] {
        let fleet = sample::fleet(vec![
            labelled("eu", labels("zone", "eu")),
            labelled("us", labels("zone", "us")),
        ]);
        let networks = trusted.iter().map(|network| network.parse().expect("a network"));
        let rules = Rules { trusted_proxies: networks.collect(), ..Rules::default() };
        let site = start_with(in_zones(), fleet, rules);
        for _ in 0..16 {
            let reply = site.ask(forged).await;
            assert_eq!(reply.header("location"), Some(location), "{trusted:?}");
        }
    }
}

#[tokio::test]
async fn a_path_that_demands_labels_is_for_the_edges_that_carry_them() {
    let rule = |path: &str, tier: &str| Rule { path: path.into(), labels: labels("tier", tier) };
    let selection = Selection {
        rules: vec![rule("/vip/", "vip"), rule("/gold/", "gold")],
        ..Selection::default()
    };
    let fleet = sample::fleet(vec![
        labelled("plain", Labels::new()),
        labelled("vip", labels("tier", "vip")),
    ]);
    let site = start_with(selection, fleet, Rules::default());
    for _ in 0..16 {
        let reply = site.get("/vip/a").await;
        assert_eq!(reply.header("location"), Some("http://vip.example.com:80/vip/a"));
    }
    let reply = site.get("/gold/a").await;
    assert_eq!((reply.status, reply.header("location")), (503, None));
    assert_eq!(reply.json()["error"], "no_label");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(site.get("/other").await.status, 302);
}
