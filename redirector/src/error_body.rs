//! The body of every refusal: a reason code for programs and a sentence for people.

use serde::Serialize;

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    message: &'a str,
}

/// `{"error": code, "message": …}`.
#[must_use]
pub(crate) fn error_body(code: &str, message: &str) -> String {
    serde_json::to_string(&ErrorBody { error: code, message }).unwrap_or_default()
}
