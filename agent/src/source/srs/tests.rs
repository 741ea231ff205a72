use proptest::prelude::*;

use super::*;

const STREAMS: &str = include_str!("../../../testdata/srs/streams.json");
const CLIENTS: &str = include_str!("../../../testdata/srs/clients.json");
const SUMMARIES: &str = include_str!("../../../testdata/srs/summaries.json");

/// What three texts read as, whatever they say.
fn read(summaries: &str, streams: &str, clients: &str) -> Result<Reading, Trouble> {
    let [summaries, streams, clients] = [
        found(json::parse("p", summaries)?),
        found(json::parse("p", streams)?),
        found(json::parse("p", clients)?),
    ];
    let (streams, clients) = (streams.items("streams")?, clients.items("clients")?);
    reading(&summaries, &streams.collect::<Vec<_>>(), &clients.collect::<Vec<_>>())
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
    let reading = read(SUMMARIES, STREAMS, CLIENTS).expect("all is well");
    assert_eq!((reading.load.viewers, reading.viewers_fed), (Some(5), Some(2)));
    assert_eq!(reading.bytes_out, Some([(String::new(), 87_975_000)].into()));
    assert_eq!(reading.bytes_in, Some([(String::new(), 8_577_771_876)].into()));
}

#[test]
fn what_the_server_does_not_know_yet_is_unknown() {
    let young = SUMMARIES
        .replace(r#""ok":true"#, r#""ok":false"#)
        .replace(r#""srs_sample_time":1720428680003"#, r#""srs_sample_time":0"#);
    let reading = read(&young, STREAMS, CLIENTS).expect("all is well");
    assert_eq!((reading.load.cpu_utilization, reading.load.memory_utilization), (None, None));
    assert_eq!((reading.bytes_out, reading.counted_at), (None, None));
}

proptest! {
    #[test]
    fn no_text_is_a_panic(at in any::<usize>(), len in 0..40_usize, by in "[-0-9a-z\",:{}\\[\\].]{0,9}") {
        let _ = read(&spoilt(SUMMARIES, at, len, &by), STREAMS, CLIENTS);
        let _ = read(SUMMARIES, &spoilt(STREAMS, at, len, &by), CLIENTS);
        let _ = read(SUMMARIES, STREAMS, &spoilt(CLIENTS, at, len, &by));
    }

    #[test]
    fn every_client_is_a_viewer_or_a_publisher(publish in prop::collection::vec(any::<bool>(), 0..40)) {
        let client = |(id, publish): (usize, &bool)| {
            format!(r#"{{"id":{id},"stream":"vid-0000001","type":"rtmp-play","publish":{publish}}}"#)
        };
        let clients: Vec<_> = publish.iter().enumerate().map(client).collect();
        let clients = format!(r#"{{"clients":[{}]}}"#, clients.join(","));
        let reading = read(SUMMARIES, STREAMS, &clients).expect("all is well");
        let publishers = publish.iter().filter(|publish| **publish).count() as u32;
        let viewers = publish.len() as u32 - publishers;
        prop_assert_eq!(reading.load.publishers, Some(publishers));
        prop_assert_eq!(reading.load.viewers, Some(viewers));
        let streams = reading.streams.expect("known");
        prop_assert_eq!(streams.get("live/published"), Some(&viewers));
    }
}
