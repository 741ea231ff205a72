//! The handshake with an edge.

use crate::rtmp::{Dial, RtmpReject};

fn hello() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend((0..2 * 1536u32).map(|i| (i / 7) as u8));
    bytes
}

#[test]
fn c0_and_c1_come_first_and_c2_says_what_s1_said() {
    for len in [1, 7, 1536, 1537, 5_000] {
        let mut dial = Dial::new([9; 1528]);
        let first = dial.take_output();
        assert_eq!(first.len(), 1537);
        assert_eq!(first[..9], [3, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(first[9..], [9; 1528]);

        let bytes = [&hello()[..], b"early"].concat();
        let mut sent = Vec::new();
        let mut rest = Vec::new();
        let mut is_over = false;
        for piece in bytes.chunks(len) {
            if is_over {
                rest.extend(piece);
                continue;
            }
            let fed = dial.feed(piece).expect("an edge");
            sent.extend(dial.take_output());
            is_over = fed.is_some();
            rest.extend(fed.unwrap_or_default());
        }
        assert!(is_over);
        assert_eq!(sent, hello()[1..1537], "once");
        assert_eq!(rest, b"early");
    }
}

#[test]
fn an_edge_that_speaks_something_else_is_refused_at_its_first_byte() {
    assert_eq!(Dial::new([0; 1528]).feed(b"HTTP/1.1 400"), Err(RtmpReject::Version));
}

#[test]
fn a_dial_waits_for_the_whole_of_s2() {
    let mut dial = Dial::new([0; 1528]);
    assert_eq!(dial.feed(&hello()[..3072]), Ok(None));
    assert_eq!(dial.feed(&[]), Ok(None));
    assert_eq!(dial.feed(&hello()[3072..]), Ok(Some(Vec::new())));
}
