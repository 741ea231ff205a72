//! Streams as heartbeats name them: by a hash, and in parts, so that thousands of them fit.

mod name;
mod part;

pub use self::part::{NotAPart, PARTS_MAX, STREAMS_PER_PART_MAX, StreamPart};

/// More viewers of one stream on one edge than this are reported as this many: two bytes.
pub const STREAM_VIEWERS_MAX: u32 = 16_383;
/// The most streams that are kept of one edge: so many as all parts hold.
pub const STREAMS_MAX: usize = PARTS_MAX as usize * STREAMS_PER_PART_MAX;

/// The CRC-32 (IEEE 802.3, as zlib computes it) of a stream's name in UTF-8, for example `live/cam`:
/// application and stream in the form that [`of_path`](Self::of_path) brings all paths into. Two
/// streams with the same hash are taken for one, which costs some affinity and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamHash(pub u32);

impl StreamHash {
    /// The hash of a name of any length, read as [`of_path`](Self::of_path) does. What names no
    /// application is hashed as it stands, less slashes at its ends, and never asked for.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let raw = || Self(crc32fast::hash(name.trim_matches('/').as_bytes()));
        Self::of_path(name).unwrap_or_else(raw)
    }
}

/// How many viewers a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCount {
    /// The stream.
    pub stream: StreamHash,
    /// Its viewers, at most [`STREAM_VIEWERS_MAX`].
    pub viewers: u32,
}

/// The streams of one edge with their viewers: by hash, each once, no count above
/// [`STREAM_VIEWERS_MAX`]. What is given twice is added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streams(Vec<StreamCount>);

impl Streams {
    /// Streams by their names.
    pub fn of_names<'a>(names: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let count = |(name, viewers)| StreamCount { stream: StreamHash::of(name), viewers };
        names.into_iter().map(count).collect()
    }

    /// All of them, by hash.
    #[must_use]
    pub fn counts(&self) -> &[StreamCount] {
        &self.0
    }

    /// The viewers of a stream; `None` if it is not carried.
    #[must_use]
    pub fn viewers(&self, stream: StreamHash) -> Option<u32> {
        let place = self.0.binary_search_by_key(&stream, |count| count.stream).ok()?;
        self.0.get(place).map(|count| count.viewers)
    }

    /// Whether a part says anything that is not known.
    #[must_use]
    pub fn lacks(&self, part: &StreamPart) -> bool {
        !self.0.iter().filter(|count| part.covers(count.stream)).eq(part.streams.counts())
    }

    /// Lets a part replace what was known of its streams. Returns whether that changed anything.
    /// A sender that names more than [`STREAMS_MAX`] by changing the number of parts is left with
    /// this part alone.
    pub fn replace(&mut self, part: &StreamPart) -> bool {
        if !self.lacks(part) {
            return false;
        }
        self.0.retain(|count| !part.covers(count.stream));
        if self.0.len() + part.streams.0.len() > STREAMS_MAX {
            self.0.clear();
        }
        self.0.extend_from_slice(part.streams.counts());
        self.0.sort_unstable_by_key(|count| count.stream);
        true
    }
}

impl FromIterator<StreamCount> for Streams {
    fn from_iter<I: IntoIterator<Item = StreamCount>>(counts: I) -> Self {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|count| count.stream);
        counts.dedup_by(|again, first| {
            let same = again.stream == first.stream;
            if same {
                first.viewers = first.viewers.saturating_add(again.viewers);
            }
            same
        });
        for count in &mut counts {
            count.viewers = count.viewers.min(STREAM_VIEWERS_MAX);
        }
        Self(counts)
    }
}

#[cfg(test)]
mod tests;
