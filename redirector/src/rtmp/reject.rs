//! Every reason a session is ended without an answer. Each is a counter; none is ever a log line of
//! its own.

use crate::figures::labels;

labels! {
    /// What was wrong with what an RTMP peer sent.
    pub enum RtmpReject;

    /// A version that is neither 3 nor 6 nor 8.
    Version "version",
    /// A SetChunkSize that is not 4 bytes, or names 0 or more than 31 bits.
    ChunkSize "chunk_size",
    /// An Abort that is not 4 bytes.
    Abort "abort",
    /// The first chunk of a chunk stream leaves out what a message is.
    HeaderMissing "header_missing",
    /// A message begins on a chunk stream where another has not ended.
    MessageUnfinished "message_unfinished",
    /// A message announces more than it may hold.
    MessageTooLong "message_too_long",
    /// More chunk streams than are kept.
    TooManyChunkStreams "too_many_chunk_streams",
    /// Too many messages before `connect`.
    TooManyMessages "too_many_messages",
    /// Too many bytes before `connect`, or in commands under way at once.
    TooManyBytes "too_many_bytes",
    /// Objects and arrays within each other, deeper than any client nests them.
    AmfDepth "amf_depth",
    /// A type of value that no client sends in a command.
    AmfMarker "amf_marker",
    /// A command that ends within a value, or lacks its name or number, or names something twice.
    AmfMalformed "amf_malformed",
    /// A text that is no UTF-8.
    NotUtf8 "not_utf8",
    /// An application or its URL is over 2 KiB.
    TextTooLong "text_too_long",
    /// An application or its URL holds a control character.
    ControlCharacter "control_character",
    /// The first command is another than `connect`.
    NotConnect "not_connect",
}
