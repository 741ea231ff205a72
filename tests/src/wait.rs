//! Waiting for something that another process does: look, and look again, until a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Long enough for anything that should happen soon, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks until `look` succeeds and returns what it found. Panics at the deadline with what was
/// awaited and why it did not hold at the last look.
#[track_caller]
pub fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) if began.elapsed() > deadline => {
                panic!("waited {deadline:?} for this: {what}; at last: {why}")
            }
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}
