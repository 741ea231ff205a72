use std::cell::Cell;

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
    parse(text, environment, |place| match place {
        KeyPlace::Here(key) => Ok(Arc::new(key.parse()?)),
        KeyPlace::File(path) => Err(Flaw::KeyFile(path.display().to_string())),
    })
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
        ("h,1,${file:/a, b}".to_owned(), 1, Flaw::KeyFile("/a, b".to_owned())),
        ("h,1,${file:keys}".to_owned(), 1, Flaw::KeyFilePath),
        ("h,1,${file:}".to_owned(), 1, Flaw::KeyFilePath),
        ("h,1,text:${file:/keys}".to_owned(), 1, Flaw::KeyVariable),
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

proptest! {
    #[test]
    fn no_text_is_a_panic_and_no_key_is_repeated(text in "[a-z,#${}:\\[\\] \n0-9]{0,120}") {
        let asked = Cell::new(0);
        let read = parse(&text, environment, |place| {
            asked.set(asked.get() + 1);
            one_key(place)
        });
        if let Ok(targets) = read {
            prop_assert_eq!(targets.len(), asked.get());
        }
    }
}

/// Stretching is too slow for a property test, so every key counts as too short or as one key.
fn one_key(place: KeyPlace<'_>) -> Result<Arc<SendKey>, Flaw> {
    if place == KeyPlace::Here("") {
        return Err(KeyError::TextTooShort.into());
    }
    Ok(Arc::new(SendKey::Fleet { key: FleetKey::from_bytes([1; 32]), weak: true }))
}
