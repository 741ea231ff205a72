//! Which stream a client asks for, by its path.

use tidegate_proto::stream::StreamHash;

/// The stream of a path, see [`StreamHash::of_path`]; `None` where the path names an application
/// alone, or nothing.
#[must_use]
pub fn stream_of(path: &str) -> Option<StreamHash> {
    StreamHash::of_path(path)
}
