//! Whether a path begins as a rule says, however it is written. Clients and edges take `/a/../vip/x`,
//! `/%76ip/x`, `/vip//x` and `/vip;a=1/x` for what they mean, so a rule does too. Case matters, as it does to edges.
//!
//! This takes no memory, since every pick asks it.

/// Whether a path begins with `beginning`, whose last part may be the beginning of a part only.
/// Queries, slashes at the ends, empty parts and dot segments (RFC 3986 section 5.2.4) do not matter,
/// nor do percent-encoding and the parameters of parts (section 3.3).
pub(super) fn begins_with(path: &str, beginning: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // Some edges take an encoded slash for a slash, and some do not.
    resolves_into(path.split('/'), beginning)
        || resolves_into(path.split('/').flat_map(split_encoded), beginning)
        || path.contains(';') && begins_bare(path, beginning)
}

/// The same for edges that leave parameters out, be it before they take encoded slashes for slashes,
/// after that, or without.
fn begins_bare(path: &str, beginning: &str) -> bool {
    let bare = || path.split('/').map(without_parameters);
    let split = || path.split('/').flat_map(split_encoded);
    resolves_into(bare(), beginning)
        || resolves_into(bare().flat_map(split_encoded), beginning)
        || resolves_into(split().map(without_parameters), beginning)
}

fn without_parameters(part: &str) -> &str {
    part.split(';').next().unwrap_or_default()
}

fn resolves_into<'a>(parts: impl Iterator<Item = &'a str>, beginning: &str) -> bool {
    let (whole, partial) = beginning.rsplit_once('/').unwrap_or(("", beginning));
    let wanted = || whole.split('/').filter(|part| !part.is_empty());
    let count = wanted().count();
    // Of the parts that stand, counted in `depth`, the first `same` are the rule's.
    let (mut depth, mut same, mut partly) = (0_usize, 0, false);
    for part in parts.filter(|part| !part.is_empty()) {
        match dots(part) {
            Some(1) => continue,
            Some(_) => {
                depth = depth.saturating_sub(1);
                same = same.min(depth);
                partly &= depth > count;
                continue;
            }
            None => {}
        }
        if depth == count {
            partly = starts_with(part, partial);
        } else if depth == same && wanted().nth(depth).is_some_and(|wanted| means(part, wanted)) {
            same += 1;
        }
        depth += 1;
    }
    same == count && (partly || partial.is_empty())
}

fn split_encoded(part: &str) -> impl Iterator<Item = &str> {
    part.split("%2f").flat_map(|part| part.split("%2F"))
}

fn means(part: &str, wanted: &str) -> bool {
    decoded(part).eq(decoded(wanted))
}

fn starts_with(part: &str, wanted: &str) -> bool {
    let mut bytes = decoded(part);
    decoded(wanted).all(|wanted| bytes.next() == Some(wanted))
}

/// How many dots a dot segment has.
fn dots(part: &str) -> Option<usize> {
    let count = decoded(part).take(3).count();
    ((1..=2).contains(&count) && decoded(part).all(|byte| byte == b'.')).then_some(count)
}

/// The bytes that a text means once `%` and two digits are read as one.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let (byte, len) = match (rest.first()?, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            (byte, ..) => (*byte, 1),
        };
        rest = &rest[len..];
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rule_is_for_every_way_to_write_its_paths() {
        for path in [
            "/vip/cam/playlist.m3u8",
            "/vip/",
            "/vip",
            "/vip?token=/x",
            "vip",
            "vip/_definst_",
            "/%76ip/cam",
            "/%76%69%70/cam?a",
            "/./vip/cam",
            "/vip/./cam",
            "/vip//cam",
            "//vip/cam",
            "/a/../vip/cam",
            "/a/%2e%2E/vip/cam",
            "/../vip/cam",
            "/vip/a/../cam",
            "/vip/a/b/../../../vip/cam",
            "/vip/..%2fcam",
            "/vip%2Fcam",
            "/a%2f..%2Fvip/cam",
            "/vip;x/cam",
            "/vip;/cam",
            "/vip;a=1;b=2",
            "/%76ip;x/cam",
            "/;x/vip/cam",
            "/.;x/vip/cam",
            "/a/..;x/vip/cam",
            "/a;x%2f..%2fvip/cam",
            "/vip;x%2fa/cam",
            "/a/b;x%2fc/../../vip",
        ] {
            assert!(begins_with(path, "/vip/"), "{path}");
        }
        for path in [
            "",
            "/",
            "/live",
            "/VIP/cam",
            "/vipers/cam",
            "/live/vip/cam",
            "/vip/../live/cam",
            "/live?/vip/",
            "/live#/vip/",
            "/vip/%2e%2e/live/vip/",
            "/%2576ip/cam",
            "/vi",
            "/vipers;/vip/",
            "/live;/vip/cam",
            "/live;vip/cam",
            "/;vip/cam",
            "/live/vip;x/cam",
            "/vip%3bx/cam",
            "/%7",
            "/%",
        ] {
            assert!(!begins_with(path, "/vip/"), "{path}");
        }
    }

    #[test]
    fn the_last_part_of_a_rule_may_be_a_beginning() {
        for (path, beginning, fits) in [
            ("/vipers/cam", "/vip", true),
            ("/vip", "/vip", true),
            ("/vi", "/vip", false),
            ("/a/../vipers", "/vip", true),
            ("/vipers/../live", "/vip", false),
            ("/vipers/a/../b", "/vip", true),
            ("/live/vipers", "/live/vip", true),
            ("/live/cam/vipers", "/live/vip", false),
            ("/live/vipers/../cam", "/live/vip", false),
            ("/x/vipers", "/live/vip", false),
            ("/a%20b/c", "/a%20b/", true),
            ("/a%62/c", "/%61b/", true),
            ("", "/", true),
            ("/any/thing", "/", true),
            ("/live/vi;x", "/live/vip", false),
            ("/live;x/vipers;y", "/live/vip", true),
            ("/a;b/c", "/a;b/", true),
            ("/a/c", "/a;b/", false),
        ] {
            assert_eq!(begins_with(path, beginning), fits, "{path} {beginning}");
        }
    }

    proptest! {
        #[test]
        fn what_begins_so_as_it_stands_does(
            beginning in "/[a-c]{0,2}(/[a-c]{1,2}){0,2}/?",
            rest in "[a-c/]{0,9}",
        ) {
            prop_assume!(!beginning.contains("//"));
            let path = beginning.clone() + &rest;
            prop_assert!(begins_with(&path, &beginning), "{path} {beginning}");
        }

        #[test]
        fn parameters_of_parts_do_not_matter(
            parts in prop::collection::vec(("(|[a-c]{1,2}|\\.{1,2}|[ab]%2f[ab.]{1,2})", "(;[a-z=%;]{0,4})?"), 0..6),
            beginning in "(/[a-c]{1,2}){0,2}/?",
        ) {
            let plain: String = parts.iter().map(|(part, _)| format!("/{part}")).collect();
            let path: String = parts.iter().map(|(part, more)| format!("/{part}{more}")).collect();
            if begins_with(&plain, &beginning) {
                prop_assert!(begins_with(&path, &beginning), "{path} {beginning}");
            } else if !path.contains("%2f") && path.matches("..").count() == 0 {
                prop_assert!(!begins_with(&path, &beginning), "{path} {beginning}");
            }
        }

        #[test]
        fn any_text_has_an_answer(path in "\\PC{0,60}", beginning in "/\\PC{0,20}") {
            begins_with(&path, &beginning);
        }
    }
}
