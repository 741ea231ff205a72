//! What watches the redirectors: only of metrics that they have, and in the words of the Prometheus operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;
use serde_json::Value;
use tidegate_redirector::metrics::METRICS;
use tidegate_tests::chart::{folder, rendering};

/// Every word of a text that looks like a metric of Tidegate.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("tidegate_"))
        .collect()
}

fn assert_known(text: &str, place: &str) {
    let known: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    let used = metrics_in(text);
    assert!(used.len() > 5, "{place} names {used:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{place}: {unknown:?}");
}

/// All expressions of a dashboard.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if ["expr", "query", "definition"].contains(&key.as_str()) {
                    found.extend(value.as_str());
                }
                expressions(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let file = folder().join("dashboards/tidegate.json");
    let text = fs::read_to_string(file).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert_known(&found.join("\n"), "the dashboard");
    let installed = rendering("metrics").the("ConfigMap", "live-tidegate-dashboard");
    let data = installed.labels("/data").into_values().collect::<Vec<_>>();
    let [installed] = data[..] else { panic!("{} files", data.len()) };
    let installed: Value = serde_json::from_str(installed).expect("JSON");
    assert_eq!(installed, dashboard);
}

/// Labels that Prometheus and Kubernetes add to every series.
const LABELS_OF_OTHERS: [&str; 7] =
    ["container", "endpoint", "instance", "job", "namespace", "pod", "service"];

/// The labels by which an expression chooses series of a metric: metric -> labels.
fn matchers(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("tidegate_") {
        let rest = &expression[at..];
        let len =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(len);
        let inside = after.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = inside.map_or("", |(inside, _)| inside).split('"').step_by(2);
        let labels = labels.map(|part| part.trim_matches([',', ' ', '=', '~', '!']));
        found.push((name, labels.filter(|label| !label.is_empty()).collect()));
    }
    found
}

#[test]
fn expressions_choose_by_labels_that_the_metrics_have() {
    let mut all = Vec::new();
    let rule = rendering("metrics").the("PrometheusRule", "live-tidegate-redirector");
    expressions(&rule.0, &mut all);
    let text = fs::read_to_string(folder().join("dashboards/tidegate.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    expressions(&dashboard, &mut all);
    let labels: BTreeMap<_, _> = METRICS.iter().map(|metric| (metric.name, metric.label)).collect();
    let mut own = 0;
    for expression in all {
        for (metric, chosen) in matchers(expression) {
            for label in chosen.into_iter().filter(|label| !LABELS_OF_OTHERS.contains(label)) {
                assert_eq!(labels.get(metric), Some(&label), "{expression}");
                own += 1;
            }
        }
    }
    assert!(own > 5, "{own} labels of the metrics themselves");
}

/// The fields of the operator's API (monitoring.coreos.com/v1) that the chart may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceMonitorSpec {
    selector: Selector,
    namespace_selector: Option<NamespaceSelector>,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NamespaceSelector {
    match_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Endpoint {
    port: String,
    path: String,
    interval: String,
    authorization: Option<Authorization>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorization {
    r#type: String,
    credentials: KeyOfSecret,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyOfSecret {
    name: String,
    key: String,
}

#[test]
fn the_service_monitor_finds_the_operations_port_and_has_a_token_for_it() {
    let one = rendering("metrics");
    let monitor = one.the("ServiceMonitor", "live-tidegate-redirector");
    assert_eq!(monitor.text("/apiVersion"), "monitoring.coreos.com/v1");
    assert_eq!(monitor.labels("/metadata/labels").get("release"), Some(&"prometheus"));
    let spec: ServiceMonitorSpec =
        serde_json::from_value(monitor.at("/spec").clone()).expect("fields the operator knows");
    let [endpoint] = &spec.endpoints[..] else { panic!("{spec:?}") };
    assert_eq!((endpoint.path.as_str(), endpoint.interval.as_str()), ("/metrics", "30s"));
    let found: Vec<_> = one
        .of_kind("Service")
        .filter(|service| {
            let labels = service.labels("/metadata/labels");
            spec.selector
                .match_labels
                .iter()
                .all(|(k, v)| labels.get(k.as_str()) == Some(&v.as_str()))
        })
        .collect();
    let [service] = found[..] else { panic!("{} Services", found.len()) };
    assert_eq!(service.name(), "live-tidegate-ops");
    assert!(service.list("/spec/ports").iter().any(|port| port["name"] == endpoint.port.as_str()));
    let names = spec.namespace_selector.map(|one| one.match_names);
    assert_eq!(names, Some(vec!["video".to_owned()]));
    let shown = endpoint.authorization.as_ref().expect("a token");
    assert_eq!(shown.r#type, "Bearer");
    let secret = one.the("Secret", &shown.credentials.name).secret_data();
    assert!(secret[&shown.credentials.key].starts_with("tgt1_"));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSpec {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[test]
fn alerts_ask_for_metrics_that_there_are_and_say_what_to_do() {
    let rule = rendering("metrics").the("PrometheusRule", "live-tidegate-redirector");
    assert_eq!(rule.text("/apiVersion"), "monitoring.coreos.com/v1");
    let spec: RuleSpec =
        serde_json::from_value(rule.at("/spec").clone()).expect("fields the operator knows");
    let mut names = BTreeSet::new();
    let mut all = String::new();
    for rule in spec.groups.iter().flat_map(|group| &group.rules) {
        assert!(names.insert(&rule.alert), "{} twice", rule.alert);
        assert!(rule.r#for.ends_with(['s', 'm', 'h']), "{rule:?}");
        assert!(["warning", "critical"].contains(&rule.labels["severity"].as_str()), "{rule:?}");
        assert!(!rule.annotations["summary"].is_empty(), "{rule:?}");
        let opens = |c: char| rule.expr.matches(c).count();
        assert!(opens('(') == opens(')') && opens('{') == opens('}'), "{}", rule.expr);
        all.push_str(&rule.expr);
        all.push('\n');
    }
    assert!(spec.groups.iter().all(|group| !group.name.is_empty()));
    assert_known(&all, "the rules");
}
