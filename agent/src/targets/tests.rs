use std::{cell::Cell, os::unix::fs::PermissionsExt};

use proptest::prelude::*;
use tidegate_proto::{
    key::{format_edge_key, format_fleet_key},
    seal::FleetKey,
};

use super::*;

fn environment(name: &str) -> Option<String> {
    (name == "HOST").then(|| "lb.example.com".to_owned())
}

fn read(text: &str) -> Result<Vec<Target>, (usize, Flaw)> {
    parse(text, environment, |key| Ok(Arc::new(key.parse()?)))
}

fn fleet_key() -> String {
    format_fleet_key(&FleetKey::from_bytes([7; 32])).to_string()
}

#[test]
fn names_addresses_and_variables_are_read() {
    let key = fleet_key();
    let text = format!(
        "# redirectors\n\n LB_1.example.com , 1934 , {key} # first\n[2001:db8::1],1934,{key}\n\
         10.0.0.1,1935,{key}\n${{env:HOST}},1934,{key}\n"
    );
    let shown: Vec<_> = read(&text).expect("valid").iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["lb_1.example.com:1934", "[2001:db8::1]:1934", "10.0.0.1:1935", "lb.example.com:1934"]
    );
}

#[test]
fn each_fault_names_its_line() {
    let key = fleet_key();
    for (text, line, flaw) in [
        ("host".to_owned(), 1, Flaw::Form),
        (format!("#\nhost,0,{key}"), 2, Flaw::Port),
        (format!("host,x,{key}"), 1, Flaw::Port),
        (format!("a b,1,{key}"), 1, Flaw::Host),
        (format!("[10.0.0.1],1,{key}"), 1, Flaw::Host),
        (format!("${{env:NO}},1,{key}"), 1, VariableError::Unset("NO".into()).into()),
        ("h,1,${env:NO}".to_owned(), 1, Flaw::KeyVariable),
        ("h,1,ehb1:abc".to_owned(), 1, KeyError::NotABase64Key.into()),
        ("h,1,short".to_owned(), 1, KeyError::TextTooShort.into()),
        (format!("h,1,{key}\n\nH,1,{key}"), 3, Flaw::Twice(1)),
    ] {
        assert_eq!(read(&text).expect_err("wrong"), (line, flaw), "{text}");
    }
}

#[test]
fn keys_of_two_edges_in_one_file_are_refused() {
    let (fleet, a, b) = (FleetKey::random(), EdgeId::random(), EdgeId::random());
    let line = |host: &str, edge| format!("{host},1934,{}\n", *format_edge_key(&fleet, edge));
    let same = read(&(line("x", a) + &line("y", a))).expect("one edge");
    assert_eq!(edge_of(&same), Ok(Some(a)));
    let (at, flaw) = read(&(line("x", a) + &line("y", b))).expect_err("two edges");
    assert_eq!((at, flaw), (2, Flaw::OtherEdge { this: b, before: a }));
}

#[test]
fn an_unchanged_line_keeps_its_key_and_so_its_session() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("targets");
    let write = |text: &str| {
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode set");
    };
    let key = fleet_key();
    write(&format!("a,1934,{key}\n"));
    let mut file = TargetsFile::new(path.clone());
    let first = file.read().expect("valid");
    assert!(!file.has_changed());

    write(&format!("b,1934,broken\na,1934,{key}\n"));
    assert!(file.has_changed());
    let said = file.read().expect_err("broken").to_string();
    assert!(said.contains("line 1") && !said.contains("broken"), "{said}");
    assert!(!file.has_changed(), "a broken file would be read again and again");

    write(&format!("# moved\nb,1934,{key}\na,1934,{key}\n"));
    let second = file.read().expect("valid");
    assert!(second[1].same_session(&first[0]));
}

#[test]
fn a_missing_file_is_told_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let said = TargetsFile::new(dir.path().join("none")).read().expect_err("missing").to_string();
    assert!(said.contains("none") && said.contains("host,port,key"), "{said}");
}

proptest! {
    #[test]
    fn no_text_is_a_panic_and_no_key_is_repeated(text in "[a-z,#${}:\\[\\] \n0-9]{0,120}") {
        let asked = Cell::new(0);
        let read = parse(&text, environment, |key| {
            asked.set(asked.get() + 1);
            one_key(key)
        });
        if let Ok(targets) = read {
            prop_assert_eq!(targets.len(), asked.get());
        }
    }
}

/// Stretching is too slow for a property test, so every key counts as too short or as one key.
fn one_key(text: &str) -> Result<Arc<SendKey>, KeyError> {
    if text.is_empty() {
        return Err(KeyError::TextTooShort);
    }
    Ok(Arc::new(SendKey::Fleet { key: FleetKey::from_bytes([1; 32]), weak: true }))
}
