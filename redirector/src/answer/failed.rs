//! `tg_failed=EDGE`: a client's word, in the query of its request, that an edge has failed it. It is
//! for the redirector alone and goes into no Location.

use std::borrow::Cow;

use tidegate_control::snapshot::{EdgeView, FleetView};
use tidegate_proto::edge::{EdgeId, EdgeName};

/// The query's key. Written otherwise, with percent signs for example, it is none of ours.
const KEY: &str = "tg_failed";
/// So many edges are heard of; what more a client says is removed and no more.
const EDGES_MAX: usize = 4;

/// A target as it goes on, and the edges that were named in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// Path and query without what was for the redirector, all other bytes as they were.
    pub(super) target: Cow<'a, str>,
    /// Names or UUIDs, or anything else that somebody wrote.
    named: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(target: &'a str) -> Self {
        let whole = Self { target: Cow::Borrowed(target), named: Vec::new() };
        let Some((path, query)) = target.split_once('?').filter(|(_, query)| query.contains(KEY))
        else {
            return whole;
        };
        let (ours, others): (Vec<_>, Vec<_>) =
            query.split('&').partition(|pair| failed_edge(pair).is_some());
        if ours.is_empty() {
            return whole;
        }
        let mark = if others.is_empty() { "" } else { "?" };
        Self {
            target: Cow::Owned(format!("{path}{mark}{}", others.join("&"))),
            named: ours.into_iter().filter_map(failed_edge).take(EDGES_MAX).collect(),
        }
    }

    /// Those of the named edges that there are.
    pub(super) fn edges<'f>(&self, fleet: &'f FleetView) -> Vec<&'f EdgeView> {
        self.named.iter().filter_map(|name| find(fleet, name)).collect()
    }
}

/// The edge in a pair of ours; `None`: it is another's.
fn failed_edge(pair: &str) -> Option<&str> {
    match pair.strip_prefix(KEY)? {
        "" => Some(""),
        rest => rest.strip_prefix('='),
    }
}

/// An edge by UUID or by name. Of two with one name that which gets viewers stands for both.
fn find<'f>(fleet: &'f FleetView, text: &str) -> Option<&'f EdgeView> {
    if let Ok(id) = text.parse::<EdgeId>() {
        return fleet.get(id).map(|edge| &**edge);
    }
    let name: EdgeName = text.parse().ok()?;
    let first = fleet.edges.partition_point(|edge| edge.name < name);
    let same = || fleet.edges[first..].iter().take_while(|edge| edge.name == name);
    same().find(|edge| edge.eligible).or_else(|| same().next()).map(|edge| &**edge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{edge, fleet};

    #[test]
    fn what_is_for_the_redirector_goes_and_all_else_stays() {
        for (target, expected, named) in [
            ("/a?tg_failed=x", "/a", &["x"][..]),
            ("/a?tg_failed", "/a", &[""]),
            ("/a?tg_failed=", "/a", &[""]),
            ("/a?b=%2F&tg_failed=x", "/a?b=%2F", &["x"]),
            ("/a?tg_failed=x&b=1", "/a?b=1", &["x"]),
            ("/a?b&&tg_failed=x&c=&", "/a?b&&c=&", &["x"]),
            ("/a?tg_failed=x&tg_failed=y&d&tg_failed=z", "/a?d", &["x", "y", "z"]),
            ("/a?tg_failed=x?y=1&b", "/a?b", &["x?y=1"]),
            (
                "/a?tg_failed=1&tg_failed=2&tg_failed=3&tg_failed=4&tg_failed=5",
                "/a",
                &["1", "2", "3", "4"],
            ),
        ] {
            let asked = Asked::of(target);
            assert_eq!((&*asked.target, &*asked.named), (expected, named), "{target}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        for target in [
            "/a",
            "/a?",
            "/tg_failed=x",
            "/tg_failed=x?b=1",
            "/a?xtg_failed=x",
            "/a?tg_failedx=1",
            "/a?TG_FAILED=x",
            "/a?tg%5Ffailed=x",
            "/a?b=tg_failed=x",
            "/a?b=tg_failed",
        ] {
            let asked = Asked::of(target);
            assert!(matches!(asked.target, Cow::Borrowed(same) if same == target), "{target}");
            assert!(asked.named.is_empty(), "{target}");
        }
    }

    #[test]
    fn an_edge_is_known_by_name_or_uuid() {
        let spare = |name| EdgeView { eligible: false, ..edge(name, "x.example.com", "") };
        let edges = vec![
            edge("a", "a.example.com", ""),
            spare("b"),
            edge("b", "b.example.com", ""),
            edge("c", "c.example.com", ""),
            spare("e"),
        ];
        let fleet = fleet(edges);
        let id = fleet.edges[3].id;
        for (named, place) in [("a", 0), ("A", 0), ("b", 2), ("e", 4), (&*id.to_string(), 3)] {
            let target = format!("/x?tg_failed={named}");
            let found: Vec<_> = Asked::of(&target).edges(&fleet).iter().map(|e| e.id).collect();
            assert_eq!(found, [fleet.edges[place].id], "{named}");
        }
        let unknown = EdgeId([7; 16]).to_string();
        for named in ["", "d", "a%2e", "..", "a,b", &unknown] {
            let target = format!("/x?tg_failed={named}");
            assert!(Asked::of(&target).edges(&fleet).is_empty(), "{named}");
        }
    }

    proptest! {
        #[test]
        fn no_trace_of_it_is_left_and_no_other_pair_is_lost(
            pairs in proptest::collection::vec("(tg_failed=)?[a-z%=?]{0,6}", 0..8),
        ) {
            let target = format!("/a?{}", pairs.join("&"));
            let kept: Vec<_> =
                pairs.iter().map(String::as_str).filter(|p| failed_edge(p).is_none()).collect();
            let asked = Asked::of(&target);
            let query = asked.target.strip_prefix("/a").expect("the path stays");
            if kept.len() == pairs.len() {
                prop_assert_eq!(&*asked.target, &target);
            } else if kept.is_empty() {
                prop_assert_eq!(query, "");
            } else {
                prop_assert_eq!(query, format!("?{}", kept.join("&")));
            }
        }
    }
}
