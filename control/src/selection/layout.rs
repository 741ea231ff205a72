//! Which pools there are: for each rule, zone and scheme the edges that fit. Equal ones are one.

use std::collections::HashMap;

use tidegate_proto::edge::{Labels, Scheme};

use super::{Selection, ZoneId};
use crate::{pick::Door, snapshot::EdgeView};

/// A client's scheme, or none.
const SCHEMES: usize = 1 + Scheme::ALL.len();

/// So many kinds more than twice the edges may be noted.
const KINDS_SPARE: usize = 16;

/// Edges of one kind are in the same pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    /// One bit for each scheme it can be reached by.
    schemes: u8,
    /// One bit for each rule whose labels it carries, the lowest for no rule.
    rules: u32,
    zone: Option<ZoneId>,
}

/// The kinds of a fleet's edges and the pools they make.
#[derive(Debug, Default, Clone)]
pub(super) struct Layout {
    kinds: Vec<Kind>,
    by_kind: HashMap<Kind, u32>,
    /// The pool of each rule, zone and scheme.
    pools: Vec<u32>,
    /// The kinds in each pool.
    sets: Vec<Vec<u32>>,
    zones: usize,
}

impl Layout {
    /// The kind of an edge that was of the kind `last`, and its door. A new kind is noted;
    /// [`arrange`](Self::arrange) gives it its pools.
    pub(super) fn kind_of(
        &mut self,
        edge: &EdgeView,
        door: &Door,
        last: u32,
        selection: &Selection,
    ) -> u32 {
        let kind = describe(edge, door, selection);
        if self.kinds.get(last as usize) == Some(&kind) {
            return last;
        }
        let next = self.kinds.len() as u32;
        *self.by_kind.entry(kind).or_insert_with(|| {
            self.kinds.push(kind);
            next
        })
    }

    /// Whether so many edges have far fewer kinds among them than are noted. That some are spare
    /// does no harm, and an edge that changes back and forth costs nothing.
    pub(super) fn is_overgrown(&self, edges: usize) -> bool {
        self.kinds.len() > 2 * edges + KINDS_SPARE
    }

    /// Forgets the kinds that are not in `used`, those of edges, and changes these to what the kinds
    /// that stay are now. Returns the former kind of each. [`arrange`](Self::arrange) is to follow.
    pub(super) fn shrink<'a>(&mut self, used: impl Iterator<Item = &'a mut u32>) -> Vec<u32> {
        let old_kinds = std::mem::take(&mut self.kinds);
        let mut former = Vec::new();
        self.by_kind.clear();
        for kind in used {
            let Some(stays) = old_kinds.get(*kind as usize) else { continue };
            let next = self.kinds.len() as u32;
            let now = *self.by_kind.entry(*stays).or_insert(next);
            if now == next {
                self.kinds.push(*stays);
                former.push(*kind);
            }
            *kind = now;
        }
        former
    }

    /// How many kinds there are.
    pub(super) fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// The kinds that make up each pool.
    pub(super) fn sets(&self) -> &[Vec<u32>] {
        &self.sets
    }

    /// Works out the pools anew.
    pub(super) fn arrange(&mut self, selection: &Selection) {
        let mut by_set: HashMap<Vec<u32>, u32> = HashMap::new();
        self.zones = 1 + selection.zones.names().len();
        self.pools.clear();
        self.sets.clear();
        for rule in 0..=selection.rules.len() {
            for zone in 0..self.zones {
                for scheme in 0..SCHEMES {
                    let set = self.fitting(rule, zone.checked_sub(1), scheme);
                    let next = self.sets.len() as u32;
                    let pool = *by_set.entry(set).or_insert_with_key(|set| {
                        self.sets.push(set.clone());
                        next
                    });
                    self.pools.push(pool);
                }
            }
        }
    }

    fn fitting(&self, rule: usize, zone: Option<usize>, scheme: usize) -> Vec<u32> {
        let fits = |kind: &Kind| {
            let zone_fits = zone.is_none_or(|zone| kind.zone == Some(ZoneId(zone as u16)));
            zone_fits && kind.rules >> rule & 1 == 1 && kind.schemes >> scheme & 1 == 1
        };
        (0..).zip(&self.kinds).filter(|(_, kind)| fits(kind)).map(|(at, _)| at).collect()
    }

    /// The pool of a rule (`None`: none fits), a zone (`None`: any) and a scheme (`None`: any).
    #[inline]
    pub(super) fn pool(
        &self,
        rule: Option<usize>,
        zone: Option<ZoneId>,
        scheme: Option<Scheme>,
    ) -> Option<usize> {
        let rule = rule.map_or(0, |rule| rule + 1);
        let zone = zone.map_or(0, |zone| usize::from(zone.0) + 1);
        let at = (rule * self.zones + zone) * SCHEMES + scheme_at(scheme);
        self.pools.get(at).map(|pool| *pool as usize)
    }
}

#[inline]
fn scheme_at(scheme: Option<Scheme>) -> usize {
    scheme.map_or(0, |scheme| scheme as usize + 1)
}

fn describe(edge: &EdgeView, door: &Door, selection: &Selection) -> Kind {
    let mut schemes = 1;
    for scheme in Scheme::ALL {
        schemes |= u8::from(door.serves(scheme)) << scheme_at(Some(scheme));
    }
    let mut rules = 0;
    if carries(edge, &selection.labels) {
        rules = 1;
        for (at, rule) in selection.rules.iter().enumerate() {
            rules |= u32::from(carries(edge, &rule.labels)) << (at + 1);
        }
    }
    Kind { schemes, rules, zone: zone_of(edge, selection) }
}

fn zone_of(edge: &EdgeView, selection: &Selection) -> Option<ZoneId> {
    let names = selection.zones.names();
    if names.is_empty() {
        // Labels lie far away in memory.
        return None;
    }
    let name = edge.labels.get(&selection.zone_label)?;
    names.iter().position(|zone| zone == name).map(|at| ZoneId(at as u16))
}

fn carries(edge: &EdgeView, demanded: &Labels) -> bool {
    missing_label(edge, demanded).is_none()
}

/// The first of these labels that an edge does not carry.
pub(crate) fn missing_label<'a>(
    edge: &EdgeView,
    demanded: &'a Labels,
) -> Option<(&'a str, &'a str)> {
    let missing = demanded.iter().find(|(name, value)| edge.labels.get(*name) != Some(*value));
    missing.map(|(name, value)| (name.as_str(), value.as_str()))
}
