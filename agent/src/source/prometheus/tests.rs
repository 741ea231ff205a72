use proptest::prelude::*;

use super::*;

fn series(metrics: &[(&str, &str)]) -> Series {
    let parsed = |(figure, selector): &(&str, &str)| {
        ((*figure).to_owned(), selector.parse().expect("a selector"))
    };
    Series { metrics: metrics.iter().map(parsed).collect(), stream_label: "name".into() }
}

fn code_and_text(text: &str, metrics: &[(&str, &str)]) -> (String, String) {
    let trouble = read("http://e", text, &series(metrics)).expect_err("trouble");
    (trouble.code, trouble.text)
}

const PAGE: &str = "\
readers{name=\"live/a\",kind=\"hls\"} 3\nreaders{name=\"live/a\",kind=\"rtmp\"} 2\n\
readers{name=\"live/b\",kind=\"hls\"} 0\npublishers 2\nsent_bytes_total{session=\"1\"} 1e3\n\
sent_bytes_total{session=\"2\"} 5\nrate 12.6\nbusy 0.25\nup 12.5\nnothing NaN\n";

#[test]
fn each_figure_comes_from_the_metric_that_is_named() {
    let reading = read(
        "http://e",
        PAGE,
        &series(&[
            ("viewers", "readers"),
            ("publishers", "publishers"),
            ("bandwidth_out_bps", "rate"),
            ("bytes_out_total", "sent_bytes_total"),
            ("cpu_utilization", "busy"),
            ("uptime_s", "up"),
            ("streams", "readers{kind=\"hls\"}"),
        ]),
    )
    .expect("figures");
    let load = reading.load;
    assert_eq!((load.viewers, load.publishers), (Some(5), Some(2)));
    assert_eq!((load.bandwidth_out_bps, load.bandwidth_in_bps), (Some(13), None));
    assert_eq!((load.cpu_utilization, load.memory_utilization), (Some(0.25), None));
    assert_eq!(reading.server.uptime, Some(Duration::from_millis(12_500)));
    assert_eq!(reading.streams, Some([("live/a".into(), 3), ("live/b".into(), 0)].into()));
    let bytes: Vec<u64> = reading.bytes_out.expect("counters").into_values().collect();
    assert_eq!(bytes, [1_000, 5]);
    assert_eq!(reading.bytes_in, None);
}

#[test]
fn the_viewers_of_a_stream_are_the_sum_of_its_samples() {
    let reading = read("http://e", PAGE, &series(&[("streams", "readers")])).expect("figures");
    assert_eq!(reading.streams.expect("streams")["live/a"], 5);
}

#[test]
fn a_metric_that_is_not_there_is_missing_and_never_zero() {
    for figure in Series::FIGURES.into_iter().filter(|figure| *figure != "streams") {
        let (code, text) = code_and_text(PAGE, &[(figure, "readers{kind=\"dash\"}")]);
        assert_eq!(code, "source_missing");
        assert_eq!(text, format!("http://e has no readers{{kind=\"dash\"}} (for {figure})"));
    }
    assert_eq!(code_and_text(PAGE, &[("streams", "publishers")]).0, "source_missing");
}

#[test]
fn an_exporter_without_streams_leaves_them_unknown() {
    let reading = read("http://e", PAGE, &series(&[("streams", "paths")])).expect("figures");
    assert_eq!(reading.streams, None);
}

#[test]
fn a_figure_that_no_server_can_have_names_its_metric() {
    for value in ["NaN", "-1", "+Inf", "-Inf", "1e300"] {
        for figure in Series::FIGURES {
            let page = format!("m{{name=\"a\"}} {value}\n");
            let (code, text) = code_and_text(&page, &[(figure, "m{name=\"a\"}")]);
            assert_eq!(code, "source_absurd", "{figure} {value}");
            assert!(text.starts_with("http://e says m{name=\"a\"} is "), "{text}");
        }
    }
    for figure in ["viewers", "publishers", "streams"] {
        assert_eq!(code_and_text("m{name=\"a\"} 1.5", &[(figure, "m")]).0, "source_absurd");
    }
    let two = "m{a=\"1\"} 6000000\nm{a=\"2\"} 6000000\n";
    assert_eq!(code_and_text(two, &[("viewers", "m")]).0, "source_absurd", "their sum is");
    // One that is below zero is not hidden by another.
    assert_eq!(code_and_text("m{a=\"1\"} -1\nm 3\n", &[("viewers", "m")]).0, "source_absurd");
}

#[test]
fn a_page_of_another_kind_is_unreadable() {
    let (code, text) = code_and_text("<html>", &[("viewers", "m")]);
    assert_eq!(code, "source_unreadable");
    assert!(text.contains("line 1"), "{text}");
}

proptest! {
    #[test]
    fn no_value_is_a_panic(value in any::<f64>(), figure in 0..Series::FIGURES.len()) {
        let metrics = series(&[(Series::FIGURES[figure], "m")]);
        let _ = read("http://e", &format!("m{{name=\"a\"}} {value:?}\n"), &metrics);
    }
}
