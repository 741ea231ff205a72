//! What a request of RTMPT asks for, by its path.

use super::table::SessionId;

/// One request. `None` stands for an id that no session can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A new session.
    Open,
    /// Bytes for a session.
    Send(Option<SessionId>),
    /// What a session has to say.
    Idle(Option<SessionId>),
    /// The end of a session.
    Close(Option<SessionId>),
    /// `/fcs/ident2` and the like: Flash asks for another address to go to, and there is none.
    Ident,
}

impl Call {
    /// Reads a path such as `/send/ID/7`. The number at the end counts a client's requests; since
    /// HTTP keeps their order it is not looked at. `None`: not a path of RTMPT.
    #[must_use]
    pub fn of(target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        let mut segments = path.strip_prefix('/')?.split('/');
        let verb = segments.next()?;
        let id = segments.next().and_then(|id| id.parse().ok());
        match verb {
            "open" => Some(Self::Open),
            "send" => Some(Self::Send(id)),
            "idle" => Some(Self::Idle(id)),
            "close" => Some(Self::Close(id)),
            "fcs" => Some(Self::Ident),
            _ => None,
        }
    }

    /// The session it is about.
    #[must_use]
    pub fn session(self) -> Option<SessionId> {
        match self {
            Self::Send(id) | Self::Idle(id) | Self::Close(id) => id,
            Self::Open | Self::Ident => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_players_write_them() {
        let id = SessionId([0xab; 16]);
        for (path, expected) in [
            ("/open/1".to_owned(), Some(Call::Open)),
            ("/open".into(), Some(Call::Open)),
            (format!("/send/{id}/0"), Some(Call::Send(Some(id)))),
            (format!("/idle/{id}/17"), Some(Call::Idle(Some(id)))),
            (format!("/close/{id}/18?a=b"), Some(Call::Close(Some(id)))),
            ("/send/1/0".into(), Some(Call::Send(None))),
            ("/idle".into(), Some(Call::Idle(None))),
            ("/fcs/ident2".into(), Some(Call::Ident)),
            ("/live/stream".into(), None),
            ("/opening/1".into(), None),
            ("/Send/1".into(), None),
            ("send/1".into(), None),
            ("/".into(), None),
        ] {
            assert_eq!(Call::of(&path), expected, "{path:?}");
        }
    }
}
