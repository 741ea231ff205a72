//! Replies, byte for byte where clients are picky.

use super::reference::hear;
use crate::rtmp::{
    amf0::{Reader, Value},
    rejection,
};

/// What clients that follow were seen to follow.
const VECTOR: &str = "\
    030000000000d114000000000200065f6572726f72003ff0000000000000050300056c6576656c0200056572726f72\
    0004636f646502001e4e6574436f6e6e656374696f6e2e436f6e6e6563742e52656a6563746564000b646573637269\
    7074696f6e02002e526564697265637420746f2072746d703a2f2f65646765312e6578616d706c652e6e65743a31c3\
    3933352f6c69766500026578030004636f6465004072e000000000000008726564697265637402002272746d703a2f\
    2f65646765312e6578616d706c652e6e65743a313933352f6c697665000009000009\
    030000000000121400000000020005636c6f736500000000000000000005";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_redirect_is_the_one_that_clients_follow() {
    let url = "rtmp://edge1.example.net:1935/live";
    let sent = rejection(1.0, Some(url), &format!("Redirect to {url}"));
    assert_eq!(hex(&sent), VECTOR);
}

#[test]
fn without_an_edge_there_is_no_ex_and_still_a_close() {
    let heard = hear(&rejection(7.0, None, "no edge available"));
    assert_eq!(heard.len(), 2);
    let text = String::from_utf8_lossy(&heard[0].payload);
    assert!(text.contains("no edge available") && !text.contains("redirect"), "{text}");
    assert_eq!(heard[0].payload[9..18], [0, 0x40, 0x1C, 0, 0, 0, 0, 0, 0], "the client's number");
    assert!(heard[1].payload.starts_with(b"\x02\x00\x05close"));
}

#[test]
fn an_empty_description_is_never_written() {
    let heard = hear(&rejection(1.0, None, ""));
    let mut reader = Reader::new(&heard[0].payload);
    let mut described = false;
    while let Some(item) = reader.next().expect("ours") {
        if item.key == Some(b"description") {
            described = matches!(item.value, Value::Text(text) if !text.is_empty());
        }
    }
    assert!(described);
}
