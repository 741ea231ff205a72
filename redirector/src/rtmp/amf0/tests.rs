//! What the reader makes of good and of hostile payloads.

use proptest::prelude::*;

use super::*;
use crate::rtmp::RtmpReject;

/// A value as a client might build it.
#[derive(Debug, Clone)]
enum Tree {
    Number(f64),
    Boolean(bool),
    Text(Vec<u8>),
    Null,
    Object(Vec<(Vec<u8>, Tree)>),
    Array(Vec<Tree>),
}

/// Everything a payload says, as (depth, key, value) in words.
fn read(payload: &[u8]) -> Result<Vec<String>, RtmpReject> {
    let mut reader = Reader::new(payload);
    let mut said = Vec::new();
    while let Some(item) = reader.next()? {
        said.push(line(item.depth, item.key, item.value));
    }
    Ok(said)
}

fn line(depth: usize, key: Option<&[u8]>, value: Value<'_>) -> String {
    format!("{depth} {key:?} {value:?}")
}

fn write(tree: &Tree, writer: Writer) -> Writer {
    match tree {
        Tree::Number(number) => writer.number(*number),
        Tree::Boolean(boolean) => writer.boolean(*boolean),
        Tree::Text(text) => writer.text(text),
        Tree::Null => writer.null(),
        Tree::Object(pairs) => {
            let pairs =
                pairs.iter().fold(writer.begin(), |w, (key, value)| write(value, w.key(key)));
            pairs.end()
        }
        Tree::Array(values) => {
            values.iter().fold(writer.array(values.len() as u32), |w, value| write(value, w))
        }
    }
}

fn expect(tree: &Tree, depth: usize, key: Option<&[u8]>, said: &mut Vec<String>) {
    let mut say = |value| said.push(line(depth, key, value));
    match tree {
        Tree::Number(number) => say(Value::Number(*number)),
        Tree::Boolean(boolean) => say(Value::Boolean(*boolean)),
        Tree::Text(text) => say(Value::Text(text)),
        Tree::Null => say(Value::Nothing),
        Tree::Object(pairs) => {
            say(Value::Begin);
            for (key, value) in pairs {
                expect(value, depth + 1, Some(key), said);
            }
            said.push(line(depth, None, Value::End));
        }
        Tree::Array(values) => {
            say(Value::Begin);
            for value in values {
                expect(value, depth + 1, None, said);
            }
            said.push(line(depth, None, Value::End));
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("NaN is not itself", |n| !n.is_nan()).prop_map(Tree::Number),
        any::<bool>().prop_map(Tree::Boolean),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Text),
        (65_530..65_540usize).prop_map(|len| Tree::Text(vec![b'x'; len])),
        Just(Tree::Null),
    ];
    leaf.prop_recursive(DEPTH_MAX as u32, 40, 6, |inner| {
        let pair = (proptest::collection::vec(any::<u8>(), 0..6), inner.clone());
        prop_oneof![
            proptest::collection::vec(pair, 0..6).prop_map(Tree::Object),
            proptest::collection::vec(inner, 0..6).prop_map(Tree::Array),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(trees in proptest::collection::vec(trees(), 0..4)) {
        let payload = trees.iter().fold(Writer::default(), |w, tree| write(tree, w)).finish();
        let mut expected = Vec::new();
        for tree in &trees {
            expect(tree, 0, None, &mut expected);
        }
        prop_assert_eq!(read(&payload), Ok(expected));
    }

    #[test]
    fn any_bytes_are_read_or_refused(payload in proptest::collection::vec(0..0x14u8, 0..200)) {
        if let Ok(said) = read(&payload) {
            // Every value but the end of an array takes a byte.
            prop_assert!(said.len() <= 2 * payload.len());
        }
    }
}

#[test]
fn every_value_a_client_may_send_is_passed_over() {
    let payload = [
        &[0x06][..],
        &[0x0D],
        &[0x07, 0, 1],
        &[0x0B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x0C, 0, 0, 0, 2, b'h', b'i'],
        &[0x0F, 0, 0, 0, 1, b'x'],
        &[0x10, 0, 1, b'C', 0, 1, b'k', 0x05, 0, 0, 0x09],
        &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, b'k', 0x01, 1, 0, 0, 0x09],
    ]
    .concat();
    let said = [
        line(0, None, Value::Nothing),
        line(0, None, Value::Nothing),
        line(0, None, Value::Skipped),
        line(0, None, Value::Skipped),
        line(0, None, Value::Text(b"hi")),
        line(0, None, Value::Skipped),
        line(0, None, Value::Begin),
        line(1, Some(b"k"), Value::Nothing),
        line(0, None, Value::End),
        line(0, None, Value::Begin),
        line(1, Some(b"k"), Value::Boolean(true)),
        line(0, None, Value::End),
    ];
    assert_eq!(read(&payload), Ok(said.to_vec()));
}

#[test]
fn a_span_holds_the_value_and_not_its_key() {
    let payload = Writer::default().null().begin().pair("app", "live").end().finish();
    let mut reader = Reader::new(&payload);
    let spans = [(0..1), (1..2), (7..14), (14..17)];
    for span in spans {
        assert_eq!(reader.next().expect("good").expect("more").span, span);
    }
    assert_eq!(reader.next(), Ok(None));
}

#[test]
fn eight_levels_are_read_and_nine_are_not() {
    let nested = |depth: usize| {
        let begun = (0..depth).fold(Writer::default().begin(), |w, _| w.key(b"k").begin());
        (0..=depth).fold(begun, |w, _| w.end()).finish()
    };
    assert!(read(&nested(DEPTH_MAX - 1)).is_ok());
    assert_eq!(read(&nested(DEPTH_MAX)), Err(RtmpReject::AmfDepth));
    assert_eq!(read(&nested(4_000)), Err(RtmpReject::AmfDepth));
}

#[test]
fn a_count_of_4_billion_takes_no_more_than_its_bytes() {
    let strict = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x05];
    assert_eq!(read(&strict), Err(RtmpReject::AmfMalformed));
    let ecma = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x09];
    assert_eq!(read(&ecma).expect("a count is a hint").len(), 2);
    let text = [0x0C, 0xFF, 0xFF, 0xFF, 0xFF, b'x'];
    assert_eq!(read(&text), Err(RtmpReject::AmfMalformed));
}

#[test]
fn a_payload_that_ends_too_early_is_refused_wherever_it_ends() {
    let whole = Writer::default().begin().pair("app", "live").key(b"n").number(1.0).end().finish();
    for len in 1..whole.len() {
        assert_eq!(read(&whole[..len]), Err(RtmpReject::AmfMalformed), "{len}");
    }
}

#[test]
fn types_nobody_sends_are_refused() {
    for marker in [0x04, 0x09, 0x0E, 0x11, 0xFF] {
        assert_eq!(read(&[marker, 0, 0, 0, 0]), Err(RtmpReject::AmfMarker), "{marker:#x}");
    }
}
