use proptest::prelude::*;

use super::*;

const STREAMS: &str = include_str!("../../../testdata/srs/streams.json");
const CLIENTS: &str = include_str!("../../../testdata/srs/clients.json");
const SUMMARIES: &str = include_str!("../../../testdata/srs/summaries.json");
const VHOSTS: &str = include_str!("../../../testdata/srs/vhosts.json");

/// What four texts read as, whatever they say.
fn read(summaries: &str, streams: &str, clients: &str, vhosts: &str) -> Result<Reading, Trouble> {
    let list = |text: &str, key: &str| -> Result<Vec<Found>, Trouble> {
        let value = json::parse("p", text)?;
        let items = Part::new("p", &value).list(key)?;
        Ok(items.map(|item| found(item.value().clone())).collect())
    };
    let streams = list(streams, "streams")?;
    let published = published_streams(&list(clients, "clients")?)?;
    let mut local = BTreeMap::new();
    for stream in &streams {
        if let Some(publish) = publishing(stream.part())? {
            let here = published.contains(&publish.0);
            local.insert(publish, here);
        }
    }
    let (summaries, vhosts) = (json::parse("p", summaries)?, json::parse("p", vhosts)?);
    reading(&found(summaries), &streams, &found(vhosts), &local)
}

fn found(value: Value) -> Found {
    Found { place: "p".to_owned(), value }
}

/// The text with some of its bytes replaced.
fn spoilt(text: &str, at: usize, len: usize, by: &str) -> String {
    let start = text.floor_char_boundary(at % text.len());
    let end = text.floor_char_boundary((start + len).min(text.len()));
    format!("{}{by}{}", &text[..start], &text[end..])
}

#[test]
fn the_kept_answers_are_read() {
    let reading = read(SUMMARIES, STREAMS, CLIENTS, VHOSTS).expect("all is well");
    assert_eq!((reading.load.viewers, reading.steady_viewers), (Some(11), Some(10)));
    assert_eq!(reading.bytes_out, Some([(String::new(), 87_975_000)].into()));
    assert_eq!(reading.bytes_in, Some([(String::new(), 8_577_771_876)].into()));
}

#[test]
fn what_the_server_does_not_know_yet_is_unknown() {
    let young = SUMMARIES
        .replace(r#""ok":true"#, r#""ok":false"#)
        .replace(r#""srs_sample_time":1720428680003"#, r#""srs_sample_time":0"#);
    let reading = read(&young, STREAMS, CLIENTS, VHOSTS).expect("all is well");
    assert_eq!((reading.load.cpu_utilization, reading.load.memory_utilization), (None, None));
    assert_eq!((reading.bytes_out, reading.counted_at), (None, None));
}

proptest! {
    #[test]
    fn no_text_is_a_panic(at in any::<usize>(), len in 0..40_usize, by in "[-0-9a-z\",:{}\\[\\].]{0,9}") {
        let _ = read(&spoilt(SUMMARIES, at, len, &by), STREAMS, CLIENTS, VHOSTS);
        let _ = read(SUMMARIES, &spoilt(STREAMS, at, len, &by), CLIENTS, VHOSTS);
        let _ = read(SUMMARIES, STREAMS, &spoilt(CLIENTS, at, len, &by), VHOSTS);
        let _ = read(SUMMARIES, STREAMS, CLIENTS, &spoilt(VHOSTS, at, len, &by));
    }

    #[test]
    fn viewers_are_the_clients_without_the_publisher(clients in 0..1_000_u32, active: bool) {
        let stream = format!(
            r#"{{"streams":[{{"id":"vid-0000001","name":"s","app":"a","clients":{clients},
                "publish":{{"active":{active},"cid":"b3op069g"}}}}]}}"#
        );
        let reading = read(SUMMARIES, &stream, CLIENTS, VHOSTS).expect("all is well");
        prop_assert_eq!(reading.load.viewers, Some(clients.saturating_sub(active.into())));
    }
}
