use std::fs;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str, patience: Duration) -> CommandSource {
    CommandSource::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec(), patience)
}

fn failed(script: &str) -> (String, String) {
    let trouble = shell(script, PATIENCE).measure().expect_err(script);
    (trouble.code, trouble.text)
}

#[test]
fn what_a_program_prints_is_measured() {
    let measured = shell(
        r#"cat; echo '{"viewers": 7, "streams": {"live/a": 7}, "version": "mine/1", "uptime_s": 3}'"#,
        PATIENCE,
    )
    .measure()
    .expect("figures");
    assert_eq!(measured.load.viewers, Some(7));
    assert_eq!(measured.streams, Some([("live/a".into(), 7)].into()));
    assert_eq!(measured.server.version.as_deref(), Some("mine/1"));
}

#[test]
fn words_are_not_read_by_a_shell_and_the_environment_is_passed_on() {
    let words = [
        "/usr/bin/env",
        "sh",
        "-c",
        r#"test -n "$PATH" && printf '%s' "$0""#,
        r#"{"viewers": 1}$(x);*"#,
    ];
    let trouble = CommandSource::new(words.map(str::to_owned).to_vec(), PATIENCE)
        .measure()
        .expect_err("no JSON");
    assert_eq!(trouble.code, "source_unreadable", "{}", trouble.text);
    assert!(trouble.text.contains("trailing characters"), "{}", trouble.text);
}

#[test]
fn a_program_that_fails_says_why() {
    let (code, text) = failed("echo 'no such\tserver' >&2; echo more >&2; exit 3");
    assert_eq!(code, "source_failed");
    assert_eq!(text, "the command /bin/sh: exit status: 3: \"no such\\tserver\"");
    assert_eq!(failed("kill -9 $$").0, "source_failed");
    assert_eq!(failed("exit 1").1, "the command /bin/sh: exit status: 1");
    let (_, long) = failed("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(long.len() < 200, "{long}");
}

#[test]
fn a_program_that_prints_what_is_no_figure_is_told_and_never_zero() {
    for (script, code) in [
        ("true", "source_unreadable"),
        ("echo 12", "source_absurd"),
        ("echo '{}'", "source_absurd"),
        ("echo '{\"viewers\": -1}'", "source_absurd"),
        ("printf '\\377'", "source_unreadable"),
        ("echo '{\"viewers\": 1}'; yes", "source_unreadable"),
    ] {
        let (told, text) = failed(script);
        assert_eq!(told, code, "{script}: {text}");
        assert!(text.contains("the command /bin/sh"), "{text}");
    }
}

#[test]
fn a_program_that_is_not_there_is_missing() {
    let trouble =
        CommandSource::new(vec!["/nonexistent/load".into()], PATIENCE).measure().expect_err("none");
    assert_eq!(trouble.code, "source_missing");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("load");
    fs::write(&file, "").expect("written");
    let words = vec![file.display().to_string()];
    assert_eq!(
        CommandSource::new(words, PATIENCE).measure().expect_err("no program").code,
        "source_failed"
    );
}

#[test]
fn a_program_that_outlasts_its_time_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let pids = dir.path().join("pids");
    let script = format!(
        "sleep 600 & echo $! >> {0}; sleep 600 & echo $! >> {0}; echo '{{\"viewers\": 1}}'; wait",
        pids.display()
    );
    // A patience that is long enough for two processes to start and no longer.
    let trouble = shell(&script, Duration::from_secs(2)).measure().expect_err("too late");
    assert_eq!(trouble.code, "source_failed");
    assert!(trouble.text.ends_with("was not done in 2s and was killed"), "{}", trouble.text);
    let started = fs::read_to_string(&pids).expect("both started");
    assert_eq!(started.lines().count(), 2);
    let until = Instant::now() + PATIENCE;
    while started.lines().any(is_running) {
        assert!(Instant::now() < until, "one of {started:?} is still running");
        thread::yield_now();
    }
}

/// What was killed may still wait to be buried by whoever is its parent now.
fn is_running(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

#[test]
fn a_child_left_behind_with_the_output_open_does_not_hold_figures_up_for_ever() {
    let started = Instant::now();
    let trouble = shell("echo '{\"viewers\": 1}'; sleep 600 &", Duration::from_millis(300))
        .measure()
        .expect_err("its output never ended");
    assert_eq!(trouble.code, "source_failed");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn counters_are_metered_and_a_frozen_program_is_told() {
    let mut source = shell("", PATIENCE);
    let start = Instant::now();
    let mut frozen = None;
    for turn in 0..5_u32 {
        let text =
            format!(r#"{{"viewers": 3, "uptime_s": {}, "bytes_out_total": 5}}"#, 10 + turn * 3);
        let reading = parse_moment(&text).expect("figures");
        let at = start + Duration::from_secs(3) * turn;
        frozen = source.scales.weigh("the command x", reading, at).err();
    }
    assert_eq!(frozen.expect("frozen").code, "source_frozen");
}
