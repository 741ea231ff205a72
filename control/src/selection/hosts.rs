//! Which edges carry which streams, by their reports.

use tidegate_proto::stream::{StreamHash, Streams};

/// An edge that carries a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host {
    /// The stream.
    pub(crate) stream: StreamHash,
    /// The edge's place in the fleet.
    pub(crate) place: u32,
    /// The stream's viewers there.
    pub(crate) viewers: u32,
    /// Its viewers on all hosts.
    pub(crate) viewers_in_all: u32,
}

const NOBODY: Host = Host { stream: StreamHash(0), place: 0, viewers: 0, viewers_in_all: 0 };

/// The hosts of every stream, built in one pass over all edges' streams.
#[derive(Debug)]
pub(super) struct Hosts {
    /// By stream, then place.
    hosts: Vec<Host>,
    /// Where the hashes of each beginning start; one more for the end.
    starts: Vec<u32>,
    /// How far a hash is shifted to become its beginning.
    shift: u32,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::of(std::iter::empty())
    }
}

impl Hosts {
    /// The hosts of what these edges carry, given by ascending places.
    pub(super) fn of<'a>(edges: impl Iterator<Item = (u32, &'a Streams)> + Clone) -> Self {
        let count: usize = edges.clone().map(|(_, streams)| streams.counts().len()).sum();
        let bits = count.max(1).ilog2() + 1;
        let shift = 32 - bits;
        let mut starts = vec![0u32; (1 << bits) + 1];
        for (_, streams) in edges.clone() {
            for count in streams.counts() {
                starts[(count.stream.0 >> shift) as usize + 1] += 1;
            }
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut hosts = Self { hosts: vec![NOBODY; count], starts, shift };
        hosts.place(edges);
        hosts.settle();
        hosts
    }

    /// Puts each host where its hash's beginning starts. Afterwards each start is the next one's.
    fn place<'a>(&mut self, edges: impl Iterator<Item = (u32, &'a Streams)>) {
        let mut next = self.starts.clone();
        for (place, streams) in edges {
            for count in streams.counts() {
                let at = &mut next[(count.stream.0 >> self.shift) as usize];
                self.hosts[*at as usize] =
                    Host { stream: count.stream, place, viewers: count.viewers, viewers_in_all: 0 };
                *at += 1;
            }
        }
    }

    /// Orders the few hosts of each beginning, and adds up each stream's viewers.
    fn settle(&mut self) {
        for bounds in self.starts.windows(2) {
            let few = &mut self.hosts[bounds[0] as usize..bounds[1] as usize];
            few.sort_unstable_by_key(|host| (host.stream, host.place));
            for same in few.chunk_by_mut(|a, b| a.stream == b.stream) {
                let sum = same.iter().fold(0u32, |sum, host| sum.saturating_add(host.viewers));
                same.iter_mut().for_each(|host| host.viewers_in_all = sum);
            }
        }
    }

    /// The hosts of a stream, by place.
    pub(super) fn of_stream(&self, stream: StreamHash) -> &[Host] {
        let beginning = (stream.0 >> self.shift) as usize;
        let few = &self.hosts[self.starts[beginning] as usize..self.starts[beginning + 1] as usize];
        let start = few.partition_point(|host| host.stream < stream);
        let end = few.partition_point(|host| host.stream <= stream);
        &few[start..end]
    }

    /// How many pairs of an edge and a stream there are.
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tidegate_proto::stream::StreamCount;

    use super::*;

    fn streams(counts: &[(u32, u32)]) -> Streams {
        let count = |(stream, viewers): &(u32, u32)| StreamCount {
            stream: StreamHash(*stream),
            viewers: *viewers,
        };
        counts.iter().map(count).collect()
    }

    #[test]
    fn without_edges_no_stream_has_a_host() {
        let none = Hosts::default();
        for hash in [0, 1, u32::MAX] {
            assert_eq!(none.of_stream(StreamHash(hash)), []);
        }
    }

    #[test]
    fn a_stream_on_every_edge_has_them_all_as_hosts() {
        let one = streams(&[(7, 3)]);
        let hosts = Hosts::of((0..10_000).map(|place| (place, &one)));
        let found = hosts.of_stream(StreamHash(7));
        assert_eq!(found.len(), 10_000);
        assert!(found.iter().zip(0..).all(|(host, place)| host.place == place));
        assert_eq!(found[0].viewers_in_all, 30_000);
        assert_eq!(hosts.of_stream(StreamHash(8)), []);
    }

    proptest! {
        #[test]
        fn hosts_are_what_the_edges_say(
            edges in prop::collection::vec(
                prop::collection::vec((prop_oneof![0..9u32, any::<u32>()], 0..99u32), 0..40),
                0..12,
            ),
        ) {
            let edges: Vec<_> = edges.iter().map(|counts| streams(counts)).collect();
            let mut expected: BTreeMap<StreamHash, Vec<(u32, u32)>> = BTreeMap::new();
            for (place, streams) in (0..).zip(&edges) {
                for count in streams.counts() {
                    expected.entry(count.stream).or_default().push((place, count.viewers));
                }
            }
            let hosts = Hosts::of((0..).zip(&edges));
            prop_assert_eq!(hosts.len(), expected.values().map(Vec::len).sum::<usize>());
            for (stream, carriers) in expected {
                let found = hosts.of_stream(stream);
                let pairs: Vec<_> = found.iter().map(|host| (host.place, host.viewers)).collect();
                let sum: u32 = carriers.iter().map(|(_, viewers)| viewers).sum();
                prop_assert_eq!(pairs, carriers);
                prop_assert!(found.iter().all(|host| host.viewers_in_all == sum));
            }
        }
    }
}
