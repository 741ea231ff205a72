//! What RTMP commands are made of.

use tidegate_redirector::rtmp::amf0::{DEPTH_MAX, Item, Reader, Value, Writer};

use super::Verdict;

/// A payload: it is read or refused, in no more steps than it has bytes to say, and a value that is
/// written again reads the same.
pub fn amf0(payload: &[u8]) -> Verdict {
    let mut reader = Reader::new(payload);
    let (mut depth, mut at, mut items) = (0, 0, 0);
    loop {
        let item = match reader.next() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(_) => return Verdict::Refused,
        };
        items += 1;
        if item.value == Value::End {
            depth -= 1;
        }
        assert_eq!(item.depth, depth);
        if item.value == Value::Begin {
            depth += 1;
        }
        assert!(depth <= DEPTH_MAX);
        assert!(at <= item.span.start && item.span.start <= item.span.end, "{item:?} at {at}");
        at = item.span.end;
        check_again(&item, &payload[item.span.clone()]);
    }
    assert_eq!((depth, at), (0, payload.len()));
    // Only the end of an array takes no byte of its own.
    assert!(items <= 2 * payload.len());
    Verdict::Accepted
}

fn check_again(item: &Item<'_>, bytes: &[u8]) {
    let writer = Writer::default();
    let again = match item.value {
        Value::Number(number) => writer.number(number).finish(),
        Value::Boolean(boolean) => writer.boolean(boolean).finish(),
        Value::Text(text) => writer.text(text).finish(),
        Value::Nothing => writer.null().finish(),
        Value::Skipped | Value::Begin | Value::End => return,
    };
    assert!(again.len() <= bytes.len());
    let read = Reader::new(&again).next().expect("ours").expect("one value");
    // A number that is none is not even itself.
    let is_nan = matches!(item.value, Value::Number(number) if number.is_nan());
    assert!(is_nan || read.value == item.value, "{item:?} became {read:?}");
}
