//! The only place that writes to the terminal, and what makes foreign text safe to write there.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process,
};

use crate::failure::Failure;

/// Writes a line to standard output. A reader that has gone (`| head`) ends the program quietly.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => Err(Failure::Failed(format!("cannot write the answer: {error}"))),
    }
}

/// Writes a line to standard error.
pub(crate) fn tell(text: &str) {
    // Without standard error nobody listens.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text from elsewhere, on one line: what a terminal would obey is written out as `\u{..}`.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that reorder or hide their neighbours (Unicode's Bidi_Control and zero-width ones).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_foreign_text() {
        assert_eq!(plain("a\u{1b}[2J\n\u{9b}é\u{202e}x"), "a\\u{1b}[2J\\u{a}\\u{9b}é\\u{202e}x");
    }
}
