use tidegate_proto::settings::{SettingsError, add_flags, load, parse_file, scalar_paths};

use super::*;
use crate::{
    link_speed::Link,
    report::Redirect,
    source::{Ask, Kind, Plan},
};

fn environment(name: &str) -> Option<String> {
    (name == "PUBLIC").then(|| "203.0.113.7".to_owned())
}

fn checked(text: &str) -> Result<Checked, String> {
    parse_file::<Config>(text).map_err(|error| error.to_string())?;
    let config: Config = toml_of(text)?;
    config.check(environment, || Some("My_Host.lan".to_owned())).map_err(|error| error.to_string())
}

fn toml_of(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("agent.toml");
    std::fs::write(&path, text).expect("written");
    loaded(Some(&path), &[]).map_err(|error| error.to_string())
}

fn loaded(file: Option<&std::path::Path>, flags: &[&str]) -> Result<Config, SettingsError> {
    let command = add_flags(clap::Command::new("x"), "TIDEGATE_X", SETTINGS, &Config::default());
    let words = std::iter::once("x").chain(flags.iter().copied());
    load(file, &command.try_get_matches_from(words).expect("flags are known"), SETTINGS)
}

#[test]
fn every_scalar_key_has_a_flag_and_a_variable() {
    let mut listed: Vec<_> = SETTINGS.iter().map(|setting| setting.path).collect();
    listed.sort_unstable();
    assert_eq!(listed, scalar_paths(&Config::default()));
}

#[test]
fn flags_of_every_kind_are_read() {
    let config = loaded(
        None,
        &["--interval", "100ms", "--capacity-viewers", "7", "--telemetry-log-format", "json"],
    )
    .expect("valid");
    assert_eq!(config.interval, Duration::from_millis(100));
    assert_eq!((config.capacity.viewers, config.telemetry.log_format), (7, LogFormat::Json));
}

#[test]
fn the_example_file_is_valid() {
    let example = include_str!("../../../docs/examples/agent.toml");
    let checked = checked(example).expect("the example is valid");
    assert_eq!(checked.profile.name.as_str(), "edge-1");
}

#[test]
fn the_documented_keys_are_taken() {
    let checked = checked(
        r#"
        name = "Edge-1"
        state_dir = "/tmp/x"
        targets_file = "t.txt"
        interval = "2.5s"
        redirect_address = "${env:PUBLIC}"
        labels = { zone = "a", rack = "12" }
        [[endpoint]]
        scheme = "http"
        port = 8080
        [capacity]
        viewers = 4000
        bandwidth_bps = 10_000_000_000
        [source]
        kind = "file"
        path = "/run/load.json"
        [control]
        listen = "127.0.0.1:0"
        [telemetry]
        log = "debug"
        log_format = "json"
        "#,
    )
    .expect("valid");
    assert_eq!(checked.profile.name.as_str(), "edge-1");
    assert_eq!(
        checked.profile.redirect,
        Redirect::Fixed("203.0.113.7".parse().expect("an address"))
    );
    assert_eq!(checked.profile.interval, Duration::from_millis(2_500));
    assert_eq!(checked.source, Plan(vec![Kind::File("/run/load.json".into())]));
    assert!(checked.targets_file.is_absolute());
}

#[test]
fn the_default_is_valid_and_named_after_the_host() {
    let checked = checked("").expect("valid");
    assert_eq!(checked.profile.name.as_str(), "my-host.lan");
    assert_eq!(checked.profile.redirect, Redirect::Automatic);
    assert_eq!(checked.source, Plan(vec![Kind::Host]));
}

#[test]
fn what_must_be_asked_for_is_left_to_the_start() {
    let checked = checked("redirect_address = \"${env:PUBLIC}.${ec2:local-hostname}\"")
        .expect("valid without anybody to ask");
    assert_eq!(checked.profile.redirect, Redirect::Followed);
    let inquiry = checked.inquiry.expect("something to ask");
    let variables: Vec<_> = inquiry.variables().map(ToString::to_string).collect();
    assert_eq!(variables, ["${ec2:local-hostname}"]);
}

#[test]
fn a_configured_bandwidth_goes_before_the_link() {
    let link = |text: &str| checked(text).expect("valid").link;
    assert_eq!(link(""), None);
    assert_eq!(link("capacity = { link = \"auto\" }"), Link::parse("auto"));
    assert_eq!(link("capacity = { link = \"eth0\", viewers = 9 }"), Link::parse("eth0"));
    assert_eq!(link("capacity = { link = \"eth0\", bandwidth_bps = 1 }"), None);
}

#[test]
fn sources_are_believed_in_the_order_they_are_named() {
    let checked = checked(
        "[source]\nkind = \"nginx-rtmp\"\nurl = \"http://127.0.0.1:8080/stat\"\n[[source.also]]",
    )
    .expect("valid");
    let stat = Ask { url: "http://127.0.0.1:8080/stat".into(), login: None };
    assert_eq!(checked.source, Plan(vec![Kind::NginxRtmp(stat), Kind::Host]));
}

#[test]
fn a_media_server_may_have_any_address_and_a_page_any_query() {
    for url in ["http://[::1]:8080/stat", "http://[::1]/stat?a=b:0", "http://x/stat/", "http://x:1"]
    {
        let text = format!("[source]\nkind = \"nginx-rtmp\"\nurl = \"{url}\"");
        let ask = Ask { url: url.into(), login: None };
        assert_eq!(checked(&text).expect("valid").source, Plan(vec![Kind::NginxRtmp(ask)]));
    }
}

#[test]
fn each_refusal_names_its_key() {
    let long_label = format!("labels = {{ zone = \"{}\" }}", "x".repeat(129));
    for (text, names) in [
        ("nmae = \"x\"", "nmae"),
        ("name = \"a_b\"", "name:"),
        ("name = \"7bf5ce94-c10f-45e8-bd47-a55698850ad3\"", "name:"),
        ("interval = \"50ms\"", "interval:"),
        ("interval = \"2m\"", "interval:"),
        ("redirect_address = \"a/b\"", "redirect_address:"),
        ("redirect_address = \"${ec2:../user-data}\"", "redirect_address:"),
        ("redirect_address = \"${ec2:public-ipv4\"", "redirect_address:"),
        ("redirect_address = \"${ec2:public-ipv4}:80\"", "redirect_address:"),
        ("redirect_address = \"${com.wowza.wms.AppHome}\"", "redirect_address:"),
        ("capacity = { link = \"a/b\" }", "capacity.link:"),
        ("redirect_address = \"${env:NO}\"", "redirect_address:"),
        ("[[endpoint]]\nscheme = \"ftp\"\nport = 1", "endpoint.scheme"),
        ("[[endpoint]]\nscheme = \"http\"\nport = 0", "endpoint.port"),
        ("[[endpoint]]\nscheme = \"http\"\nport = 1\nx = 1", "`x`"),
        (&long_label, "labels: \"zone\""),
        ("[capacity]\nviewers = 10000001", "capacity.viewers"),
        ("[source]\nkind = \"red5\"", "host, nginx-rtmp"),
        ("[source]\nkind = \"srs\"", "source.url"),
        ("[source]\nkind = \"srs\"\nurl = \"https://x/\"", "without TLS"),
        ("[source]\nkind = \"srs\"\nurl = \"http://me:secret@x/\"", "password_file"),
        ("[source]\nkind = \"srs\"\nurl = \"http://x:99999/\"", "1 to 65535"),
        ("[source]\nkind = \"srs\"\nurl = \"http://x:0/\"", "1 to 65535"),
        ("[source]\nkind = \"wowza\"\nurl = \"http://[::1]:/\"", "1 to 65535"),
        ("[source]\nkind = \"srs\"\nurl = \"http://x/?a=b\"", "without a query"),
        ("[source]\nkind = \"mediamtx\"\nurl = \"http://x/metrics?a=b\"", "without a query"),
        ("[source]\nkind = \"srs\"\nurl = \"http://x\"\nuser = \"me\"", "source.password_file"),
        ("[source]\nkind = \"command\"", "source.command"),
        ("[source]\nkind = \"prometheus\"\nurl = \"http://x\"", "source.metrics"),
        (
            "[source]\nkind = \"prometheus\"\nurl = \"http://x\"\nmetrics = { watchers = \"a\" }",
            "\"watchers\"",
        ),
        (
            "[source]\nkind = \"prometheus\"\nurl = \"http://x\"\nmetrics = { viewers = \"sum(a)\" }",
            "source.metrics.viewers",
        ),
        ("[[source.also]]\nkind = \"red5\"", "source.also[0].kind"),
        ("[[source.also]]\n[[source.also.also]]", "source.also[0].also"),
        ("[source]\nkind = \"file\"", "source.path"),
        ("[limit]\nresume_viewers = 3", "limit.resume_viewers: needs"),
        (
            "[limit]\nviewers = 3\nresume_viewers = 3",
            "limit.resume_viewers: viewers are taken again at 3",
        ),
        ("state_dir = \"\"", "state_dir"),
        ("[control]\nlisten = \"1938\"", "control.listen"),
        ("[telemetry]\nlog = \"x=y=z\"", "telemetry.log"),
        ("[telemetry]\nlog_format = \"xml\"", "xml"),
    ] {
        let said = checked(text).expect_err("refused");
        assert!(said.contains(names), "{text}: {said}");
    }
}

#[test]
fn odd_host_names_become_names_or_none() {
    let name = |host| name_of_host(host).map(|name| name.to_string());
    assert_eq!(name("-a_b-.x"), Some("a-b.x".to_owned()));
    assert_eq!(name("..."), None);
    assert_eq!(name("7bf5ce94-c10f-45e8-bd47-a55698850ad3"), None);
}
