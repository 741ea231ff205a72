use proptest::{collection::btree_map, prelude::*};

use super::*;

/// The example of <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const EXAMPLE: &str = include_str!("../../../../testdata/prometheus/exposition_formats.txt");
/// Two examples of <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const OPENMETRICS: &str = include_str!("../../../../testdata/prometheus/openmetrics.txt");
const EXEMPLARS: &str = include_str!("../../../../testdata/prometheus/openmetrics_exemplars.txt");

fn only(line: &str) -> Sample {
    samples(line).expect("a sample").remove(0)
}

#[test]
fn the_documented_page_is_read() {
    let read = samples(EXAMPLE).expect("a page");
    assert_eq!(read.len(), 20);
    assert_eq!((read[0].name.as_str(), read[0].value), ("http_requests_total", 1027.0));
    assert_eq!(read[0].labels["method"], "post");
    let escaped = &read[2];
    assert_eq!(escaped.labels["path"], "C:\\DIR\\FILE.TXT");
    assert_eq!(escaped.labels["error"], "Cannot find file:\n\"FILE.TXT\"");
    assert_eq!(escaped.value, 1.458255915e9);
    assert_eq!(read[3].name, "metric_without_timestamp_and_labels");
    assert_eq!(read[4].value, f64::INFINITY);
    assert_eq!(read[10].labels["le"], "+Inf");
    assert_eq!(read[19].value, 2693.0);
}

#[test]
fn what_openmetrics_adds_is_read_over() {
    let read = samples(OPENMETRICS).expect("a page");
    assert_eq!(read.len(), 8);
    assert_eq!(read[0].labels["path"], "/api/v1");
    assert_eq!(read[7].value, 4_200_722.46);
    let read = samples(EXEMPLARS).expect("a page");
    let values: Vec<f64> = read.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [0.0, 8.0, 11.0, 17.0, 17.0, 17.0, 324_789.3, 1_520_430_000.123]);
}

#[test]
fn values_are_those_of_go() {
    for (text, value) in
        [("1", 1.0), ("-1.5e+03", -1500.0), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY)]
    {
        assert_eq!(only(&format!("a {text}")).value, value);
    }
    assert!(only("a NaN").value.is_nan());
    assert!(only("a{} nan").value.is_nan());
}

#[test]
fn blanks_are_where_the_format_lets_them_be() {
    let sample = only("\t a { b = \"x y\" , c=\"}\", } \t 7\t-3  ");
    assert_eq!((sample.labels["b"].as_str(), sample.labels["c"].as_str()), ("x y", "}"));
    assert_eq!(sample.value, 7.0);
    assert_eq!(samples("\r\n\n# TYPE a counter\r\na 1\r\n").expect("a page").len(), 1);
}

#[test]
fn a_line_that_is_no_sample_is_told_with_its_number() {
    for line in [
        "a",
        "a ",
        "a x",
        "a=2",
        "a+2",
        "2a 1",
        "a{b=\"x\" 1",
        "a{b=x} 1",
        "a{b=\"x\"c=\"y\"} 1",
        "a{b=\"x} 1",
        "a{b=\"\\t\"} 1",
        "a{b=\"x\",b=\"y\"} 1",
        "a 1 x",
        "a 1 2 3",
        "<html>",
        "{} 1",
        "{\"viewers\": 1}",
        "a 1,5",
        "a 0x10",
    ] {
        let why = samples(&format!("ok 1\n{line}\n")).expect_err(line);
        assert!(why.starts_with("line 2 is no sample: "), "{line}: {why}");
    }
    let long = samples(&"x".repeat(5_000)).expect_err("no value");
    assert!(long.len() < 120, "{long}");
}

#[test]
fn a_page_without_end_is_refused() {
    let text = "a 1\n".repeat(SAMPLES_MAX + 1);
    assert!(samples(&text[4..]).is_ok());
    assert!(samples(&text).expect_err("too long").contains("250000"));
}

#[test]
fn a_selector_means_its_labels_and_lets_others_be() {
    let selector: Selector = "readers{state=\"on\"}".parse().expect("a selector");
    for (line, meant) in [
        ("readers{state=\"on\"} 1", true),
        ("readers{state=\"on\",name=\"a\"} 1", true),
        ("readers{state=\"off\"} 1", false),
        ("readers 1", false),
        ("writers{state=\"on\"} 1", false),
    ] {
        assert_eq!(selector.matches(&only(line)), meant, "{line}");
    }
    let every: Selector = "readers".parse().expect("a selector");
    assert!(every.matches(&only("readers{state=\"on\"} 1")));
    for wrong in
        ["", "a b", "a{", "a{b=~\"x\"}", "a{b!=\"x\"}", "sum(a)", "a{b=\"x\"} 1", "a{b=\"x\"}[5m]"]
    {
        assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "(?s).{0,80}", pieces in "[a-z_:{}=\",\\\\# \n\t0-9.+-]{0,80}") {
        let _ = samples(&text);
        let _ = samples(&pieces);
        let _ = pieces.parse::<Selector>();
    }

    #[test]
    fn what_is_written_is_read(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        labels in btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "(?s).{0,12}", 0..5),
        value in any::<f64>(),
        timestamp in proptest::option::of(any::<i64>()),
    ) {
        let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let inner: Vec<_> = labels.iter().map(|(l, v)| format!("{l}=\"{}\"", escape(v))).collect();
        let series = format!("{name}{{{}}}", inner.join(","));
        let at = timestamp.map(|t| format!(" {t}")).unwrap_or_default();
        let read = samples(&format!("{series} {value:?}{at}\n")).expect("a page").remove(0);
        prop_assert_eq!(&read.name, &name);
        prop_assert_eq!(&read.labels, &labels);
        prop_assert!(read.value == value || value.is_nan() && read.value.is_nan());
        prop_assert!(series.parse::<Selector>().expect("a selector").matches(&read));
    }
}
