//! Streams as heartbeats name them: by a hash, so that a thousand of them fit.

/// The CRC-32 (IEEE 802.3, as zlib computes it) of a stream's name in UTF-8, for example `live/cam`:
/// application and stream, without slashes at either end. Two streams with the same hash are taken
/// for one, which costs some affinity and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamHash(pub u32);

impl StreamHash {
    /// The hash of a name of any length.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(crc32fast::hash(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_zlib_computes() {
        assert_eq!(StreamHash::of("123456789"), StreamHash(0xcbf4_3926));
        assert_eq!(StreamHash::of(""), StreamHash(0));
    }
}
