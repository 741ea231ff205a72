use proptest::{collection, option, prelude::*};

use super::*;

fn ids() -> impl Strategy<Value = EdgeId> {
    any::<[u8; 16]>().prop_map(EdgeId)
}

fn names() -> impl Strategy<Value = EdgeName> {
    prop_oneof![
        "[a-z][a-z0-9]{0,20}(\\.[a-z0-9]{1,10}){0,3}"
            .prop_map(|text| text.parse().expect("a DNS name")),
        ids().prop_map(EdgeName::unnamed),
    ]
}

fn hosts() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(Host::Address),
        "[a-z]{1,20}\\.[a-z]{2,5}".prop_map(|text| text.parse().expect("a host")),
    ]
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let scheme = proptest::sample::select(&Scheme::ALL[..]);
    (scheme, any::<std::num::NonZeroU16>()).prop_map(|(scheme, port)| Endpoint { scheme, port })
}

prop_compose! {
    fn edges()(
        id in ids(),
        name in names(),
        redirect_address in hosts(),
        endpoints in collection::vec(endpoints(), 0..20),
        labels in collection::btree_map(any::<String>(), any::<String>(), 0..5),
        viewers in any::<Option<u32>>(),
        bandwidth_bps in any::<Option<u64>>(),
        interval_ms in any::<u32>(),
        first_heard_unix_ms in any::<u64>(),
    ) -> EdgeRow {
        let capacity = Capacity { viewers, bandwidth_bps };
        EdgeRow {
            id, name, redirect_address, endpoints, labels, capacity, interval_ms,
            first_heard_unix_ms,
        }
    }
}

prop_compose! {
    fn beats()(
        id in ids(),
        last_heard_unix_ms in any::<u64>(),
        session in any::<[u8; 16]>(),
        sequence in any::<u64>(),
        seen in proptest::sample::select(&[Seen::Alive, Seen::Withdrawn, Seen::Down, Seen::Gone][..]),
        empty_reports in any::<u8>(),
    ) -> BeatRow {
        BeatRow {
            id, last_heard_unix_ms, session: SessionId(session), sequence, seen, empty_reports,
        }
    }
}

prop_compose! {
    fn orders()(
        id in ids(),
        name in names(),
        order in option::of((any::<String>(), any::<String>(), any::<u64>())),
        weighting in option::of((0.01..=100.0, any::<String>(), any::<u64>())),
        revision in any::<u64>(),
        drain_revision in any::<u64>(),
        weight_revision in any::<u64>(),
    ) -> OrderRow {
        let order = order.map(|(reason, author, created_unix_ms)| {
            Order { reason, author, created_unix_ms }
        });
        let weighting = weighting.map(|(weight, reason, created_unix_ms)| Weighting {
            weight: Weight::try_from(weight).expect("within the range"),
            order: Order { reason, author: String::new(), created_unix_ms },
        });
        OrderRow { id, name, order, weighting, revision, drain_revision, weight_revision }
    }
}

fn attempts() -> impl Strategy<Value = AuditRow> {
    let texts = proptest::array::uniform11(any::<String>());
    (any::<u64>(), texts).prop_map(|(time_unix_ms, texts)| {
        let [
            principal,
            role,
            peer,
            method,
            edge,
            before,
            after,
            reason,
            request_id,
            result,
            redirector,
        ] = texts;
        AuditRow {
            time_unix_ms,
            principal,
            role,
            peer,
            method,
            edge,
            before,
            after,
            reason,
            request_id,
            result,
            redirector,
        }
    })
}

fn requests() -> impl Strategy<Value = RequestRow> {
    let answer = collection::vec(any::<u8>(), 0..50);
    (any::<String>(), any::<String>(), answer, any::<u64>()).prop_map(
        |(request_id, order, answer, time_unix_ms)| RequestRow {
            request_id,
            order,
            answer,
            time_unix_ms,
        },
    )
}

/// Decoding `value` ends; what it accepts means the same once written again.
fn decodes_or_refuses<R: Record + PartialEq + std::fmt::Debug>(value: &[u8]) -> bool {
    let key = [7; 16];
    match R::decode(&key, value) {
        Ok(row) => R::decode(&key, &row.encode()) == Ok(row),
        Err(_) => true,
    }
}

proptest! {
    #[test]
    fn every_row_is_read_as_it_was_written(
        edge in edges(), beat in beats(), order in orders(), attempt in attempts(),
        request in requests(),
    ) {
        prop_assert_eq!(EdgeRow::decode(&edge.id.0, &edge.encode()), Ok(edge));
        prop_assert_eq!(BeatRow::decode(&beat.id.0, &beat.encode()), Ok(beat));
        prop_assert_eq!(OrderRow::decode(&order.id.0, &order.encode()), Ok(order));
        prop_assert_eq!(AuditRow::decode(&[], &attempt.encode()), Ok(attempt));
        prop_assert_eq!(RequestRow::decode(&[], &request.encode()), Ok(request));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        mut value in collection::vec(any::<u8>(), 0..80), versioned in any::<bool>(),
    ) {
        if versioned {
            value.insert(0, VERSION);
        }
        prop_assert!(decodes_or_refuses::<EdgeRow>(&value));
        prop_assert!(decodes_or_refuses::<BeatRow>(&value));
        prop_assert!(decodes_or_refuses::<OrderRow>(&value));
        prop_assert!(decodes_or_refuses::<AuditRow>(&value));
        prop_assert!(decodes_or_refuses::<RequestRow>(&value));
    }

    #[test]
    fn a_damaged_row_is_read_or_refused(edge in edges(), at in any::<usize>(), byte in any::<u8>()) {
        let mut value = edge.encode();
        let at = at % value.len();
        value[at] = byte;
        prop_assert!(decodes_or_refuses::<EdgeRow>(&value));
    }
}

/// As versions without weights wrote it.
#[derive(Clone, PartialEq, prost::Message)]
struct OldOrderRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    order: Option<message::Order>,
    #[prost(uint64, tag = "3")]
    revision: u64,
}

#[test]
fn a_record_from_before_there_were_weights_is_read_and_without_a_weight_written_alike() {
    let order = message::Order { reason: "r".into(), author: "a".into(), created_unix_ms: 3 };
    let old = OldOrderRecord { name: "edge-1".into(), order: Some(order), revision: 9 };
    let row = OrderRow::decode(&[7; 16], &versioned(&old)).expect("it is read");
    assert_eq!((row.weight(), row.weighting.is_none()), (Weight::default(), true));
    assert_eq!((row.revision, row.drain_revision, row.weight_revision), (9, 9, 0));
    assert_eq!(row.encode(), versioned(&old), "an older version reads it too");
}

#[test]
fn a_weight_out_of_bounds_is_refused() {
    for weight in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
        let weighting = Some(message::Weighting { weight, order: None });
        let record = message::OrderRecord { name: "a".into(), weighting, ..Default::default() };
        let fault = OrderRow::decode(&[7; 16], &versioned(&record)).expect_err("no weight");
        assert!(fault.to_string().contains("0.01 to 100"), "{fault}");
    }
}

#[test]
fn another_version_and_another_length_are_refused() {
    let beat = BeatRow {
        id: EdgeId([7; 16]),
        last_heard_unix_ms: 1,
        session: SessionId([2; 16]),
        sequence: 3,
        seen: Seen::Down,
        empty_reports: 2,
    };
    let mut value = beat.encode();
    assert_eq!(BeatRow::decode(&[7; 15], &value), Err(refuse("a key of 15 bytes instead of 16")));
    value.push(0);
    assert_eq!(BeatRow::decode(&[7; 16], &value), Err(refuse("36 bytes instead of 35")));
    value.pop();
    value[0] = 2;
    assert_eq!(BeatRow::decode(&[7; 16], &value), Err(refuse("unknown version 2")));
    assert_eq!(AuditRow::decode(&[], &[2]), Err(refuse("unknown version 2")));
    assert_eq!(AuditRow::decode(&[], &[]), Err(refuse("an empty value")));
}

#[test]
fn an_edge_row_outside_the_bounds_of_its_nouns_is_refused() {
    let row = |address: &str, port| {
        let endpoints = vec![message::Endpoint { scheme: "http".into(), port }];
        let (name, redirect_address) = ("edge-1".into(), address.into());
        let row = message::Edge { name, redirect_address, endpoints, ..Default::default() };
        EdgeRow::decode(&[7; 16], &versioned(&row)).is_ok()
    };
    assert!(row("e1.example", 80));
    assert!(!row("e1.example/@evil", 80));
    assert!(!row("e1.example", 0));
    assert!(!row("e1.example", 65_536));
}
