//! The commands a client gives.

/// What a `connect` says, as far as it matters here. Texts hold no control characters.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// The number an answer must carry.
    pub transaction: f64,
    /// The application, at most 2 KiB; empty where the client named none.
    pub app: String,
    /// The URL of the application, at most 2 KiB; empty where the client gave none.
    pub tc_url: String,
    /// The capabilities of Enhanced RTMP v2 (`capsEx`); 0 where absent.
    pub caps_ex: u32,
}
