//! What an RTMP client sends, and what an edge would hear of it.

use std::slice::Chunks;

use tidegate_redirector::rtmp::{
    self, Connect, Handover, Judge, Progress, Session, Stage, TEXT_LEN_MAX,
};

use super::Verdict;

/// The most memory one session may hold.
const HELD_BYTES_MAX: usize = 512 * 1024;
/// The most that one session may say: the handshake, and an answer to each command.
const OUTPUT_BYTES_MAX: usize = 128 * 1024;
/// The most that may be said to an edge at once, in chunks of one byte.
const OPENING_BYTES_MAX: usize = 512 * 1024;
/// By how much the one header that a relay writes out may grow.
const HEADER_GROWTH_MAX: usize = 7;
/// How long C0, C1 and C2 are together.
const HANDSHAKE_LEN: usize = 3073;
const EDGE_URL: &str = "rtmp://edge-1.example.com:1935/live";

/// A client's bytes behind one that says how to take them: the two lowest bits are the verdict,
/// the next one says that the handshake is among the bytes, and the rest is the length of pieces.
///
/// However they are cut, they come to the same, within the same bounds.
pub fn rtmp(bytes: &[u8]) -> Verdict {
    let Some((how, said)) = bytes.split_first() else { return Verdict::Refused };
    let mut client = Vec::new();
    if how & 4 == 0 {
        client.push(3);
        client.resize(HANDSHAKE_LEN, 0);
    }
    client.extend(said);
    // Long pieces and short ones, and none without an end.
    let piece_len = 1 + usize::from(how >> 3).pow(3);
    let verdict = verdict(how & 3);
    let whole = Seen::of(&client, client.len().max(1), &verdict);
    // A plain assert: in words, two of these are no help to anyone.
    assert!(Seen::of(&client, piece_len, &verdict) == whole, "pieces of {piece_len} differ");
    match (whole.end, whole.asked) {
        (End::Open | End::Done | End::Relayed(_, Ok(())), Some(_)) => Verdict::Accepted,
        _ => Verdict::Refused,
    }
}

fn verdict(choice: u8) -> rtmp::Verdict {
    let url = || Some(EDGE_URL.to_owned());
    match choice {
        0 => rtmp::Verdict::Reject { redirect: url(), description: EDGE_URL.to_owned() },
        1 => rtmp::Verdict::Accept { reconnect: None },
        2 => rtmp::Verdict::Accept { reconnect: url() },
        _ => rtmp::Verdict::Splice,
    }
}

/// Says the same to everyone, and is asked once.
struct Says<'a> {
    verdict: &'a rtmp::Verdict,
    asked: Option<String>,
}

impl Judge for Says<'_> {
    fn connect(&mut self, connect: &Connect) -> rtmp::Verdict {
        for text in [&connect.app, &connect.tc_url] {
            assert!(text.len() <= TEXT_LEN_MAX && !text.chars().any(char::is_control), "{text:?}");
        }
        assert_eq!(self.asked.replace(format!("{connect:?}")), None);
        self.verdict.clone()
    }

    fn host(&mut self) -> String {
        "edge-1.example.com".to_owned()
    }
}

/// What became of a session.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    Done,
    Rejected(rtmp::RtmpReject),
    /// What the edge heard, and whether to the end.
    Relayed(Vec<u8>, Result<(), rtmp::RtmpReject>),
}

/// All that can be seen of a session.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    output: Vec<u8>,
    asked: Option<String>,
    end: End,
}

impl Seen {
    fn of(client: &[u8], piece_len: usize, verdict: &rtmp::Verdict) -> Self {
        let (mut session, mut says) = (Session::new([0; 1528]), Says { verdict, asked: None });
        let (mut output, mut end) = (Vec::new(), End::Open);
        let mut pieces = client.chunks(piece_len);
        while let Some(piece) = pieces.next() {
            let fed = session.feed(piece, &mut says);
            assert!(session.held_bytes() <= HELD_BYTES_MAX, "{}", session.held_bytes());
            output.extend(session.take_output());
            end = match fed {
                Ok(Progress::Open) => continue,
                Ok(Progress::Done) => End::Done,
                Ok(Progress::Splice(handover)) => relayed(*handover, pieces.clone()),
                Err(reject) => End::Rejected(reject),
            };
            assert_eq!(session.stage(), Stage::Over);
            break;
        }
        assert!(output.len() <= OUTPUT_BYTES_MAX, "{}", output.len());
        Self { output, asked: says.asked, end }
    }
}

fn relayed(handover: Handover, pieces: Chunks<'_, u8>) -> End {
    let mut heard = handover.opening("live", EDGE_URL);
    assert!(heard.len() <= OPENING_BYTES_MAX, "{}", heard.len());
    let opening_len = heard.len();
    let (mut relay, rest) = handover.into_relay();
    let mut passed_len = 0;
    for piece in std::iter::once(rest.as_slice()).chain(pieces) {
        let (before, is_transparent) = (heard.len(), relay.is_transparent());
        passed_len += piece.len();
        if let Err(reject) = relay.pass(piece, &mut heard) {
            return End::Relayed(heard, Err(reject));
        }
        assert!(!is_transparent || heard[before..] == *piece);
        assert!(heard.len() <= opening_len + passed_len + HEADER_GROWTH_MAX);
    }
    End::Relayed(heard, Ok(()))
}
