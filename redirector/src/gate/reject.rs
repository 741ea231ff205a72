//! Every reason a datagram is refused for. Each is a counter; none is ever a log line of its own.

use tidegate_proto::{
    datagram::Malformed, heartbeat::Unacceptable, seal::Unopened, window::Repeat,
};

use crate::figures::labels;

labels! {
    /// Why a datagram was refused.
    pub enum Reject;

    /// Not a length a datagram can have.
    BadLength "bad_length",
    /// Does not begin with `EHB`.
    BadMagic "bad_magic",
    /// A version this build does not know.
    UnknownVersion "unknown_version",
    /// A type this build does not know.
    UnknownType "unknown_type",
    /// A flag, a reserved byte or the sequence is not what version 1 allows.
    ReservedBits "reserved_bits",
    /// An ack, which only edges take.
    UnexpectedType "unexpected_type",
    /// Sealed with a key that is not in the ring.
    UnknownKey "unknown_key",
    /// Sent more than 30 s from now, by this machine's clock.
    StaleTime "stale_time",
    /// Too many forgeries came from this network lately, and the session is not known.
    RateLimited "rate_limited",
    /// The sequence was accepted before.
    Replayed "replayed",
    /// The sequence is too far behind to tell.
    TooOld "too_old",
    /// Does not open with the key it names.
    Forged "forged",
    /// Opens, but its length field or padding is wrong.
    BadPadding "bad_padding",
    /// A session older than the one that is known.
    StaleSession "stale_session",
    /// Two agents send with one edge id; the newer one counts.
    DuplicateEdgeId "duplicate_edge_id",
    /// The edge sends more than any interval asks for.
    TooFrequent "too_frequent",
    /// Too many sessions began lately.
    SessionLimit "session_limit",
    /// Too many edges are known.
    EdgeLimit "edge_limit",
    /// The edge is not on the list of allowed ones.
    EdgeNotAllowed "edge_not_allowed",
    /// The payload is no protobuf Heartbeat.
    Undecodable "undecodable",
    /// No status, or an unknown one.
    BadStatus "bad_status",
    /// The name is not one an edge may have.
    BadName "bad_name",
    /// The redirect address is no host.
    BadHost "bad_host",
    /// The redirect address is not one that `allowed_redirect_hosts` admits.
    HostNotAllowed "host_not_allowed",
    /// An endpoint is out of bounds.
    BadEndpoint "bad_endpoint",
    /// A label is out of bounds.
    BadLabel "bad_label",
    /// A figure is nonsense.
    BadFigure "bad_figure",
    /// The interval is out of bounds.
    BadInterval "bad_interval",
    /// The streams are no part of a list of streams.
    BadStreams "bad_streams",
    /// Good, but the fleet's writer is too far behind to take it.
    QueueFull "queue_full",
}

impl From<Malformed> for Reject {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::BadLength => Self::BadLength,
            Malformed::BadMagic => Self::BadMagic,
            Malformed::UnknownVersion => Self::UnknownVersion,
            Malformed::UnknownType => Self::UnknownType,
            Malformed::ReservedBits => Self::ReservedBits,
        }
    }
}

impl From<Repeat> for Reject {
    fn from(repeat: Repeat) -> Self {
        match repeat {
            Repeat::Seen => Self::Replayed,
            Repeat::TooOld => Self::TooOld,
        }
    }
}

impl From<Unopened> for Reject {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Forged => Self::Forged,
            Unopened::BadPadding => Self::BadPadding,
        }
    }
}

impl From<Unacceptable> for Reject {
    fn from(unacceptable: Unacceptable) -> Self {
        match unacceptable {
            Unacceptable::Undecodable => Self::Undecodable,
            Unacceptable::BadStatus => Self::BadStatus,
            Unacceptable::BadName => Self::BadName,
            Unacceptable::BadHost => Self::BadHost,
            Unacceptable::BadEndpoint => Self::BadEndpoint,
            Unacceptable::BadLabel => Self::BadLabel,
            Unacceptable::BadFigure => Self::BadFigure,
            Unacceptable::BadInterval => Self::BadInterval,
            Unacceptable::BadStreams => Self::BadStreams,
        }
    }
}
