use proptest::prelude::*;

use super::*;

fn v2(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("a short rest").to_be_bytes();
    [V2_MARK, &[version_and_command, family], &len, rest].concat()
}

fn v4_addresses() -> Vec<u8> {
    [&[192, 0, 2, 1][..], &[10, 0, 0, 1], &[0x12, 0x34], &[0, 80]].concat()
}

fn header(len: usize, source: Option<&str>) -> Result<Seen, Malformed> {
    let source = source.map(|text| text.parse().expect("an address"));
    Ok(Seen::Header { len, source })
}

#[test]
fn a_line_names_the_client() {
    for (line, source) in [
        ("PROXY TCP4 192.0.2.1 10.0.0.1 4711 1935\r\n", Some("192.0.2.1")),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 4711 1935\r\n", Some("2001:db8::1")),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 1935\r\n", Some("192.0.2.1")),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    ] {
        for rest in ["", "\r\n", "GET / HTTP/1.1\r\n"] {
            let bytes = format!("{line}{rest}");
            assert_eq!(look_at(bytes.as_bytes()), header(line.len(), source), "{bytes:?}");
        }
    }
}

#[test]
fn a_binary_header_names_the_client() {
    let more = [v4_addresses(), vec![4, 0, 1, 0]].concat();
    let v6 = [[0x20; 16].as_slice(), &[0x30; 16], &[0; 4]].concat();
    let v6_source = "2020:2020:2020:2020:2020:2020:2020:2020";
    for (bytes, source) in [
        (v2(0x21, 0x11, &v4_addresses()), Some("192.0.2.1")),
        (v2(0x21, 0x11, &more), Some("192.0.2.1")),
        (v2(0x21, 0x21, &v6), Some(v6_source)),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x31, &[7; 216]), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, &v4_addresses()), None),
        (v2(0x20, 0xff, &[1, 2, 3]), None),
        (v2(0x21, 0x11, &[v4_addresses(), vec![0; 524]].concat()), Some("192.0.2.1")),
    ] {
        let len = bytes.len();
        for rest in [&b""[..], b"GET /"] {
            assert_eq!(look_at(&[&bytes, rest].concat()), header(len, source), "{bytes:?}");
        }
    }
}

#[test]
fn what_is_no_header_is_left_alone() {
    for bytes in ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1", "PROXX", "\x03", "\r\n\r\nGET", "x"] {
        assert_eq!(look_at(bytes.as_bytes()), Ok(Seen::Bare), "{bytes:?}");
    }
    assert_eq!(look_at(b""), Ok(Seen::Undecided));
}

#[test]
fn broken_and_overlong_headers_are_malformed() {
    let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
    assert_eq!(long.len(), 108);
    let endless = format!("PROXY {}", "f".repeat(101));
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711 70000\r\n",
        "PROXY TCP4 192.0.2.300 10.0.0.1 4711 80\r\n",
        "PROXY TCP4 2001:db8::1 ::1 4711 80\r\n",
        "PROXY TCP6 192.0.2.1 10.0.0.1 4711 80\r\n",
        "PROXY UDP4 192.0.2.1 10.0.0.1 4711 80\r\n",
        "PROXY TCP4  192.0.2.1 10.0.0.1 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711 80 \r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\rGET / HTTP/1.1\r\n",
        &long,
        &endless,
    ] {
        assert_eq!(look_at(line.as_bytes()), Err(Malformed), "{line:?}");
    }
    for bytes in [
        v2(0x11, 0x11, &v4_addresses()),
        v2(0x22, 0x11, &v4_addresses()),
        v2(0x21, 0x41, &v4_addresses()),
        v2(0x21, 0x11, &v4_addresses()[1..]),
        v2(0x21, 0x21, &v4_addresses()),
        v2(0x21, 0x31, &[7; 215]),
        v2(0x21, 0x11, &[0; 537]),
        v2(0x20, 0x00, &[0; 537]),
    ] {
        assert_eq!(look_at(&bytes), Err(Malformed), "{bytes:?}");
    }
}

/// Bytes that come near a header of either version.
fn nearly_headers() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "PROXY ",
        "PROXY",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "192.0.2.1 ",
        "::1 ",
        "80 ",
        "80",
        "\r\n",
        "\r",
        " ",
    ]);
    let line = prop::collection::vec(word, 0..10).prop_map(|words| words.concat().into_bytes());
    let binary = (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..600))
        .prop_map(|(command, family, rest)| v2(0x20 | command & 3, family & 0x33, &rest));
    let any = prop::collection::vec(any::<u8>(), 0..700);
    prop_oneof![line, binary, any]
}

proptest! {
    #[test]
    fn more_bytes_never_change_what_was_said(bytes in nearly_headers(), cut in any::<prop::sample::Index>()) {
        let begun = &bytes[..cut.index(bytes.len() + 1)];
        match look_at(begun) {
            Ok(Seen::Undecided) => {}
            said => prop_assert_eq!(said, look_at(&bytes)),
        }
    }

    #[test]
    fn it_is_decided_in_bounded_length_and_within_the_bytes(bytes in nearly_headers()) {
        match look_at(&bytes) {
            Ok(Seen::Undecided) => prop_assert!(bytes.len() < V2_FIXED_LEN + V2_REST_LEN_MAX),
            Ok(Seen::Header { len, .. }) => prop_assert!(len <= bytes.len()),
            Ok(Seen::Bare) | Err(Malformed) => {}
        }
    }
}
