//! What an agent asks the programs beside it: the pages of media servers and exporters.

use tidegate_agent::source::read_as_every_kind;

use super::Verdict;

/// What a reader may say of a text that is not for it or that is wrong.
const CODES: [&str; 3] = ["source_absurd", "source_missing", "source_unreadable"];

/// A text as each kind of page: it is read, or refused with a known code and a reason.
pub fn source_pages(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let mut verdict = Verdict::Refused;
    for read in read_as_every_kind(text) {
        match read {
            Ok(_) => verdict = Verdict::Accepted,
            Err(trouble) => {
                assert!(CODES.contains(&trouble.code.as_str()), "{}", trouble.code);
                assert!(!trouble.text.is_empty());
            }
        }
    }
    verdict
}
