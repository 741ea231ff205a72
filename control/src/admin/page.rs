//! Pages of the list of edges: where one ended is kept in an opaque token, not in the server.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate_proto::edge::EdgeId;
use tonic::Status;

use super::refusal::invalid;
use crate::snapshot::{EdgeView, FleetView};

const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 1_000;
const TOKEN_LEN_MAX: usize = 512;

/// How many edges a page holds.
pub(crate) fn size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Err(_) => Err(invalid("page_size", "must not be negative; 0 means 100")),
        Ok(0) => Ok(SIZE_DEFAULT),
        Ok(asked) => Ok(asked.min(SIZE_MAX)),
    }
}

/// The token that continues after an edge: its id, then its name.
pub(crate) fn token_after(edge: &EdgeView) -> String {
    URL_SAFE_NO_PAD.encode([edge.id.0.as_slice(), edge.name.as_str().as_bytes()].concat())
}

/// The edges after a token, all of them for an empty one. An edge that has gone since leaves no
/// gap, because its place in the order is in the token.
pub(crate) fn edges_after<'a>(
    fleet: &'a FleetView,
    token: &str,
) -> Result<&'a [Arc<EdgeView>], Status> {
    if token.is_empty() {
        return Ok(&fleet.edges);
    }
    let (name, id) = read_token(token).ok_or_else(|| {
        invalid("page_token", "must be empty or the next_page_token of the page before")
    })?;
    let last = (name.as_str(), id);
    let from = fleet.edges.partition_point(|edge| (edge.name.as_str(), edge.id) <= last);
    Ok(&fleet.edges[from..])
}

fn read_token(token: &str) -> Option<(String, EdgeId)> {
    if token.len() > TOKEN_LEN_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (id, name) = bytes.split_first_chunk::<16>()?;
    Some((String::from_utf8(name.to_vec()).ok()?, EdgeId(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::sample::{edge, fleet};

    #[test]
    fn a_page_size_is_capped_and_never_negative() {
        assert_eq!(size(0).ok(), Some(100));
        assert_eq!(size(7).ok(), Some(7));
        assert_eq!(size(i32::MAX).ok(), Some(1_000));
        assert!(size(-1).expect_err("negative").message().starts_with("page_size:"));
    }

    #[test]
    fn a_token_continues_even_when_its_edge_has_gone() {
        let all = fleet(vec![edge(1, "a"), edge(2, "a"), edge(3, "b"), edge(4, "c")]);
        let token = token_after(&all.edges[1]);
        let rest = fleet(vec![edge(1, "a"), edge(3, "b"), edge(4, "c")]);
        let after = edges_after(&rest, &token).expect("the token is ours");
        assert_eq!(after.iter().map(|edge| edge.id.0[0]).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_foreign_token_is_refused_by_name() {
        for token in ["x", "!!!!", &"A".repeat(1_000), "AAAA"] {
            let fault = edges_after(&FleetView::default(), token).expect_err("not ours");
            assert!(fault.message().starts_with("page_token:"), "{token}");
        }
    }
}
