use proptest::prelude::*;
use quick_xml::{Reader, events::Event};

use super::*;

fn row(text: &str) -> Row {
    Row {
        connect_count: text.to_owned(),
        status: text.to_owned(),
        redirect_count: text.to_owned(),
        last_message: text.to_owned(),
        redirect: text.to_owned(),
        server_id: text.to_owned(),
    }
}

/// Every element with text, in the order of the page.
fn read(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut path, mut text) = (Vec::new(), Vec::new(), String::new());
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                text.clear();
            }
            Event::Text(part) => text.push_str(&part),
            Event::GeneralRef(entity) => text.push(resolve(&entity)),
            Event::End(_) => {
                let name = path.pop().expect("an open element");
                if path.len() == 2 {
                    found.push((name, std::mem::take(&mut text)));
                }
            }
            Event::Eof => return found,
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn resolve(entity: &str) -> char {
    match entity {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        other => panic!("unexpected entity {other}"),
    }
}

#[test]
fn the_page_looks_like_the_original() {
    let row = Row {
        connect_count: "3".to_owned(),
        status: "RUNNING".to_owned(),
        redirect_count: "0".to_owned(),
        last_message: "792 milliseconds".to_owned(),
        redirect: "5.6.7.8".to_owned(),
        server_id: "7bf5ce94-c10f-45e8-bd47-a55698850ad3".to_owned(),
    };
    let expected = "\
<LoadBalancerServerInfo>
  <LoadBalancerServer>
    <connectCount>3</connectCount>
    <status>RUNNING</status>
    <redirectCount>0</redirectCount>
    <lastMessage>792 milliseconds</lastMessage>
    <redirect>5.6.7.8</redirect>
    <serverId>7bf5ce94-c10f-45e8-bd47-a55698850ad3</serverId>
  </LoadBalancerServer>
</LoadBalancerServerInfo>";
    assert_eq!(write(&[row]), expected);
}

#[test]
fn an_empty_fleet_is_an_empty_page() {
    assert!(read(&write(&[])).is_empty());
    assert_eq!(write(&[]), "<LoadBalancerServerInfo>\n</LoadBalancerServerInfo>");
}

#[test]
fn elapsed_time_is_for_people() {
    for (ms, text) in [
        (0, "0 milliseconds"),
        (1, "1 millisecond"),
        (792, "792 milliseconds"),
        (1_000, "1 second"),
        (2_500, "2 seconds"),
        (60_000, "1 minute"),
        (90_750_000, "1 day 1 hour 12 minutes 30 seconds"),
        (172_800_000, "2 days"),
    ] {
        assert_eq!(elapsed(ms), text);
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_again(texts in prop::collection::vec("[ -~\\n\\x00é<>&\"'\\]\u{ffff}]{0,20}", 0..5)) {
        let rows: Vec<_> = texts.iter().map(|text| row(text)).collect();
        let found = read(&write(&rows));
        let expected: Vec<_> = rows
            .iter()
            .flat_map(|row| row.fields().map(|(name, text)| (name.to_owned(), printable(text))))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn printable_text_is_left_alone(text in "[ -~é<>&]{0,40}") {
        prop_assert_eq!(printable(&text), text);
    }
}
