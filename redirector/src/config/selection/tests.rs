use super::{super::tests::parsed, *};

fn refusal(text: &str) -> String {
    parsed(&format!("[selection]\n{text}\n")).expect_err(text)
}

#[test]
fn a_figure_out_of_its_range_is_refused_with_key_value_and_range() {
    for (key, least, most) in [
        ("window", "0.01", "10"),
        ("late_intervals", "1.05", "100"),
        ("late_intervals_sticky", "1.05", "100"),
        ("late_share_max", "0", "1"),
        ("sticky_slack", "0", "10"),
        ("sticky_floor", "0", "1"),
        ("stream_share_max", "0.01", "1"),
        ("zone_spill", "0", "10"),
        ("overflow_at", "0.01", "10"),
    ] {
        for value in ["-0.5", "100.5", "nan", "-nan", "inf", "-inf"] {
            let said = refusal(&format!("{key} = {value}"));
            assert!(said.starts_with(&format!("selection.{key}: ")), "{said}");
            assert!(said.ends_with(&format!("it is from {least} to {most}")), "{said}");
            let shown = value.parse::<f64>().expect("a number").to_string();
            assert!(said.contains(&format!("{shown:?}")), "{value}: {said}");
        }
        for value in [least, most] {
            let value: f64 = value.parse().expect("a number");
            assert!(parsed(&format!("[selection]\n{key} = {value:?}\n")).is_ok(), "{key} {value}");
        }
    }
}

#[test]
fn a_whole_number_out_of_its_range_is_refused() {
    for (text, words) in [
        ("redirectors = 65", ["selection.redirectors", "65", "0 to 64"]),
        ("slow_start_reports = 17", ["selection.slow_start_reports", "17", "0 to 16"]),
        ("landing_delay = \"31s\"", ["selection.landing_delay", "31s", "0s to 30s"]),
        ("redirectors = -1", ["redirectors", "-1", "u32"]),
        ("stream_share_from = -1", ["stream_share_from", "-1", "u32"]),
        ("landing_delay = \"soon\"", ["landing_delay", "soon", "duration"]),
        ("landing_delay = 3", ["landing_delay", "3", "duration"]),
    ] {
        let said = refusal(text);
        for word in words {
            assert!(said.contains(word), "{text}: {word:?} is not in {said}");
        }
    }
    for text in [
        "redirectors = 64",
        "slow_start_reports = 0",
        "landing_delay = \"0s\"",
        "landing_delay = \"30s\"",
    ] {
        assert!(parsed(&format!("[selection]\n{text}\n")).is_ok(), "{text}");
    }
}

#[test]
fn a_policy_that_there_is_not_is_refused_with_those_there_are() {
    for text in ["best", "", "Fill", "round-robin"] {
        let said = refusal(&format!("policy = {text:?}"));
        assert!(said.starts_with("selection.policy: "), "{said}");
        for policy in Policy::ALL {
            assert!(said.contains(policy.as_str()), "{said}");
        }
    }
}

#[test]
fn every_key_reaches_the_selection() {
    let config = parsed(
        r#"
        [selection]
        policy = "sticky"
        redirectors = 3
        landing_delay = "2s"
        window = 0.5
        slow_start_reports = 5
        late_intervals = 1.5
        late_intervals_sticky = 2.5
        late_share_max = 0.4
        sticky_slack = 0.06
        sticky_floor = 0.25
        stream_share_max = 0.75
        stream_share_from = 7
        zone_label = "site"
        zone_spill = 0.9
        overflow_at = 0.95
        failure_evidence = true
        overflow = ["https://cdn.example.com"]
        labels = { tier = "live" }
        [[selection.rule]]
        path = "/vip/"
        labels = { access = "vip" }
        [[selection.zone]]
        name = "eu"
        networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
        next = ["us"]
        [[selection.zone]]
        name = "us"
        networks = ["11.0.0.0/8"]
        "#,
    )
    .expect("every key is valid");
    let selection = config.selection().expect("checked");
    assert_eq!(selection.policy, Policy::Sticky);
    assert_eq!((selection.redirectors, selection.slow_start_reports), (3, 5));
    assert_eq!(selection.landing_delay, Duration::from_secs(2));
    assert_eq!((selection.window, selection.zone_spill, selection.overflow_at), (0.5, 0.9, 0.95));
    assert_eq!((selection.late_intervals, selection.late_intervals_sticky), (1.5, 2.5));
    assert_eq!((selection.late_share_max, selection.sticky_slack), (0.4, 0.06));
    assert_eq!((selection.sticky_floor, selection.stream_share_max), (0.25, 0.75));
    assert_eq!((selection.stream_share_from, &*selection.zone_label), (7, "site"));
    assert_eq!(selection.labels, Labels::from([("tier".into(), "live".into())]));
    let labels = Labels::from([("access".into(), "vip".into())]);
    assert_eq!(selection.rules, [Rule { path: "/vip/".into(), labels }]);
    assert_eq!(selection.zones.names(), ["eu", "us"]);
    let zone = selection.zones.of([192, 0, 2, 7].into()).expect("a zone");
    assert_eq!(selection.zones.names()[usize::from(zone.0)], "eu");
    assert!(selection.failure_evidence.is_some());
    assert!(config.overflow().expect("checked").serves(None));
}

#[test]
fn the_default_is_fill_with_nothing_optional() {
    let selection = Config::default().selection().expect("the defaults are valid");
    assert_eq!(selection.policy, Policy::Fill);
    assert!(selection.zones.is_empty() && selection.failure_evidence.is_none());
    assert!(!Config::default().overflow().expect("none").serves(None));
}

fn rules(count: usize) -> String {
    (0..count).map(|n| format!("[[selection.rule]]\npath = \"/{n:02}/\"\n")).collect()
}

fn rule_of_length(bytes: usize) -> String {
    format!("[[selection.rule]]\npath = \"/{}\"", "x".repeat(bytes - 1))
}

fn labels(count: usize) -> String {
    let labels: Vec<_> = (0..count).map(|n| format!("k{n} = \"v\"")).collect();
    format!("labels = {{ {} }}", labels.join(", "))
}

#[test]
fn what_is_just_within_bounds_is_taken() {
    for text in [
        rules(RULES_MAX),
        rule_of_length(RULE_PATH_LEN_MAX),
        labels(LABELS_MAX),
        "labels = { tier = \"live\" }\n[[selection.rule]]\nlabels = { tier = \"live\" }".into(),
        "geoip_file = \"x.mmdb\"\n[[selection.zone]]\nname = \"eu\"\nplaces = [\"DE\"]".into(),
    ] {
        let said = parsed(&format!("[selection]\n{text}\n")).err();
        assert_eq!(said, None, "{text}");
    }
}

#[test]
fn a_fault_of_a_rule_names_it() {
    let long = "x".repeat(129);
    for (text, words) in [
        ("[[selection.rule]]\npath = \"vip/\"", ["selection.rule.path", "a slash"]),
        ("[[selection.rule]]\npath = \"\"", ["selection.rule.path", "a slash"]),
        ("[[selection.rule]]\npath = \"/a b\"", ["selection.rule.path", "visible ASCII"]),
        ("[[selection.rule]]\npath = \"/a/../b\"", ["selection.rule.path", "dot segments"]),
        ("[[selection.rule]]\npath = \"/a?b\"", ["selection.rule.path", "a query"]),
        (
            "[[selection.rule]]\npath = \"/a/\"\n[[selection.rule]]\npath = \"/a/b/\"",
            ["\"/a/b/\"", "the rule of \"/a/\" stands before it"],
        ),
        ("[[selection.rule]]\n[[selection.rule]]", ["selection.rule.path", "fits first"]),
        (
            "labels = { tier = \"live\" }\n[[selection.rule]]\npath = \"/vip/\"\n\
             labels = { tier = \"vip\" }",
            ["selection.rule.labels of \"/vip/\"", "none could carry both"],
        ),
        ("[[selection.rule]]\npaths = \"/\"", ["paths", "unknown"]),
        (&rules(17), ["selection.rule: \"17\"", "at most 16"]),
        (&rule_of_length(RULE_PATH_LEN_MAX + 1), ["selection.rule.path", "a slash"]),
        (&labels(LABELS_MAX + 1), ["selection.labels", "at most"]),
        ("[[selection.rule]]\npath = \"/a/./b\"", ["selection.rule.path", "dot segments"]),
        (&format!("labels = {{ k = \"{long}\" }}"), ["selection.labels", "128 bytes"]),
        (&format!("labels = {{ {long} = \"v\" }}"), ["selection.labels", "128 bytes"]),
        (
            "[[selection.rule]]\npath = \"/a/\"\nlabels = { \"\" = \"v\" }",
            ["selection.rule.labels of \"/a/\"", "1 to 128 bytes"],
        ),
        ("labels = { k = 1 }", ["labels", "string"]),
        ("zone_label = \"\"", ["selection.zone_label", "1 to 128 bytes"]),
    ] {
        let said = refusal(text);
        for word in words {
            assert!(said.contains(word), "{text}: {word:?} is not in {said}");
        }
    }
}

#[test]
fn a_fault_of_a_zone_names_it() {
    let zone = |text: &str| format!("[[selection.zone]]\nname = \"eu\"\n{text}");
    let geoip = |text: &str| format!("geoip_file = \"x.mmdb\"\n{}", zone(text));
    for (text, words) in [
        (zone(""), ["\"eu\"", "neither networks nor places"]),
        (
            zone("networks = [\"10.0.0.0/33\"]"),
            ["selection.zone.networks of \"eu\"", "10.0.0.0/33"],
        ),
        (zone("networks = [\"10.0.0.0-9\"]"), ["selection.zone.networks of \"eu\"", "CIDR"]),
        (
            zone("places = [\"DE\"]"),
            ["selection.zone.places of \"eu\"", "set selection.geoip_file"],
        ),
        (geoip("places = [\"Germany\"]"), ["selection.zone.places of \"eu\"", "ISO 3166-1"]),
        (geoip("places = [\"DE\", \"DE\"]"), ["selection.zone: the place DE", "keep one"]),
        (
            zone("networks = [\"10.0.0.0/8\"]\nnext = [\"us\"]"),
            ["\"us\" in next", "the zones are \"eu\""],
        ),
        (zone("networks = [\"10.0.0.0/8\"]\nnexts = []"), ["nexts", "unknown"]),
        (
            zone(
                "networks = [\"10.0.0.0/8\"]\n[[selection.zone]]\nname = \"eu\"\nnetworks = [\"1.1.1.1\"]",
            ),
            ["two zones are called \"eu\"", "join them"],
        ),
    ] {
        let said = refusal(&text);
        for word in words {
            assert!(said.contains(word), "{text}: {word:?} is not in {said}");
        }
    }
}

#[test]
fn a_fault_of_an_overflow_names_it() {
    for text in
        ["cdn.example.com", "https://u@cdn.example.com", "https://cdn.example.com/x", "ftp://a"]
    {
        let said = refusal(&format!("overflow = [\"https://a\", \"{text}\"]"));
        assert!(said.starts_with(&format!("selection.overflow: {text:?}")), "{said}");
        assert!(said.contains("SCHEME://HOST:PORT"), "{said}");
    }
}
