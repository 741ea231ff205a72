//! Writes small files in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>), for tests.

use ipnet::IpNet;

/// What stands before the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Countries by network: an empty code is left out of its record.
pub(super) fn sample() -> Vec<u8> {
    file(
        6,
        &[
            ("198.51.100.0/24", "DE", "EU"),
            ("203.0.113.0/24", "FR", "EU"),
            ("192.0.2.0/24", "NA", "AF"),
            ("2001:db8:1::/48", "US", "NA"),
            ("2001:db8:2::/48", "", "EU"),
        ],
    )
}

/// A file of networks that do not overlap.
pub(super) fn file(ip_version: u8, networks: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut tree = Tree { nodes: vec![[Child::Nothing; 2]] };
    let mut data = Vec::new();
    for (network, country, continent) in networks {
        let offset = u32::try_from(data.len()).expect("a small file");
        tree.insert(ip_version, network.parse().expect("a network"), offset);
        data.extend(record(country, continent));
    }
    let mut bytes = tree.bytes();
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(MARKER);
    bytes.extend(metadata(ip_version, tree.nodes.len()));
    bytes
}

#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Data(u32),
}

struct Tree {
    nodes: Vec<[Child; 2]>,
}

impl Tree {
    fn insert(&mut self, ip_version: u8, network: IpNet, offset: u32) {
        // In a tree of IPv6, IPv4 stands at ::/96.
        let (bits, len) = match (network, ip_version) {
            (IpNet::V4(net), 4) => (u128::from(net.network().to_bits()) << 96, net.prefix_len()),
            (IpNet::V4(net), _) => (net.network().to_bits().into(), 96 + net.prefix_len()),
            (IpNet::V6(net), _) => (net.network().to_bits(), net.prefix_len()),
        };
        let mut node = 0;
        for depth in 0..len {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == len {
                self.nodes[node][side] = Child::Data(offset);
            } else if let Child::Node(next) = self.nodes[node][side] {
                node = next;
            } else {
                self.nodes.push([Child::Nothing; 2]);
                let next = self.nodes.len() - 1;
                self.nodes[node][side] = Child::Node(next);
                node = next;
            }
        }
    }

    /// Records of 32 bits: a node's number, or past the nodes nothing or a place in the data.
    fn bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.nodes.len()).expect("a small tree");
        let record = |child: &Child| match child {
            Child::Nothing => count,
            Child::Node(node) => u32::try_from(*node).expect("a small tree"),
            Child::Data(offset) => count + 16 + offset,
        };
        self.nodes.iter().flatten().flat_map(|child| record(child).to_be_bytes()).collect()
    }
}

fn record(country: &str, continent: &str) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (key, inner, code) in [("continent", "code", continent), ("country", "iso_code", country)] {
        if !code.is_empty() {
            pairs.push((key, map(&[(inner, text(code))])));
        }
    }
    map(&pairs)
}

fn metadata(ip_version: u8, nodes: usize) -> Vec<u8> {
    let nodes = u32::try_from(nodes).expect("a small tree").to_be_bytes();
    map(&[
        ("binary_format_major_version", control(5, &[2])),
        ("binary_format_minor_version", control(5, &[])),
        ("build_epoch", extended(9, &[1])),
        ("database_type", text("Test-Country")),
        ("description", map(&[])),
        ("ip_version", control(5, &[ip_version])),
        ("languages", extended(11, &[])),
        ("node_count", control(6, &nodes)),
        ("record_size", control(5, &[32])),
    ])
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let len = u8::try_from(pairs.len()).expect("a small map");
    let pairs = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat());
    std::iter::once(7 << 5 | len).chain(pairs).collect()
}

fn text(text: &str) -> Vec<u8> {
    control(2, text.as_bytes())
}

/// A value of a type below 8 and at most 28 bytes.
fn control(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a short value");
    std::iter::once(kind << 5 | len).chain(payload.iter().copied()).collect()
}

/// A value of a type from 8 on.
fn extended(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a short value");
    [len, kind - 7].into_iter().chain(payload.iter().copied()).collect()
}
