//! A live HLS playlist (RFC 8216) that repeats one segment for ever.

use std::fmt::Write;

/// The length of the segment, in seconds.
const SEGMENT_SECS: u64 = 2;
/// Segments are numbered within the week, because hls.js counts up to the number of the first
/// discontinuity, which takes it for ever from 1970 on.
const NUMBERED_SECS: u64 = 7 * 24 * 3_600;
/// Segments in the window.
const WINDOW: u64 = 4;

/// The playlist at a moment. The same picture begins anew with each segment, so every one is a
/// discontinuity.
pub(super) fn live(edge: &str, unix_secs: u64) -> String {
    let newest = unix_secs % NUMBERED_SECS / SEGMENT_SECS;
    let oldest = newest.saturating_sub(WINDOW - 1);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{oldest}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{oldest}\n# served by {edge}\n",
        SEGMENT_SECS + 1
    );
    for number in oldest..=newest {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "#EXT-X-DISCONTINUITY\n#EXTINF:{SEGMENT_SECS}.0,{edge}\n{edge}-{number}.ts\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_with_time_and_names_the_edge() {
        let text = live("edge-1", 2_001);
        assert!(text.starts_with("#EXTM3U\n"));
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:997\n"));
        assert!(text.ends_with("edge-1-1000.ts\n"));
        assert_eq!(text.matches(".ts\n").count(), 4);
        assert_ne!(text, live("edge-1", 2_003));
    }

    #[test]
    fn numbers_stay_small_enough_to_be_counted_up_to() {
        let text = live("edge-1", 1_800_000_000);
        let number = text.split("#EXT-X-DISCONTINUITY-SEQUENCE:").nth(1).expect("a number");
        let number: u64 = number.lines().next().and_then(|n| n.parse().ok()).expect("a number");
        assert!(number < 400_000, "{number}");
    }
}
