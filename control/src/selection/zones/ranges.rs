//! Networks within networks, flattened into ranges that do not overlap.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ZoneId;

/// From a network's first address to its last, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u128,
    last: u128,
    zone: ZoneId,
}

/// Whose address is whose, each family by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Networks {
    v4: Vec<Range>,
    v6: Vec<Range>,
}

impl Networks {
    /// Within a network a smaller one goes before it.
    ///
    /// # Errors
    /// A network that two zones claim, or one of them twice.
    pub(super) fn new(claimed: Vec<(IpNet, ZoneId)>) -> Result<Self, (IpNet, ZoneId, ZoneId)> {
        let mut claimed: Vec<_> =
            claimed.into_iter().map(|(network, zone)| (canonical(network), zone)).collect();
        // What holds others stands before them: a family's networks by first address, widest first.
        claimed.sort_by_key(|(network, _)| (network.network(), network.prefix_len()));
        if let Some([(network, first), (_, second)]) =
            claimed.array_windows().find(|[(one, _), (two, _)]| one == two)
        {
            return Err((*network, *first.min(second), *first.max(second)));
        }
        let (v4, v6): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|(network, _)| matches!(network, IpNet::V4(_)));
        Ok(Self { v4: flatten(&v4), v6: flatten(&v6) })
    }

    /// Whose the address is; IPv4 in IPv6 is expected to have been taken out.
    pub(super) fn of(&self, address: IpAddr) -> Option<ZoneId> {
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let number = number(address);
        let place = ranges.partition_point(|range| range.last < number);
        ranges.get(place).filter(|range| range.first <= number).map(|range| range.zone)
    }
}

/// The network without host bits, and one of IPv4 addresses inside IPv6 as what it means.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_LEN: u8 = 96;
    let network = network.trunc();
    let address = network.network().to_canonical();
    network
        .prefix_len()
        .checked_sub(MAPPED_LEN)
        .filter(|_| network.network().is_ipv6() && address.is_ipv4())
        .and_then(|prefix_len| IpNet::new(address, prefix_len).ok())
        .unwrap_or(network)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Cuts networks of one family, in order, into ranges: what lies around an inner one stays with the
/// outer one.
fn flatten(networks: &[(IpNet, ZoneId)]) -> Vec<Range> {
    let mut ranges = Vec::with_capacity(networks.len() * 2);
    // The networks that hold the present point, the innermost last, each from where it goes on.
    let mut open: Vec<Range> = Vec::new();
    for (network, zone) in networks {
        let (first, last) = (number(network.network()), number(network.broadcast()));
        close_before(first, &mut open, &mut ranges);
        if let Some(outer) = open.last_mut() {
            if outer.first < first {
                ranges.push(Range { last: first - 1, ..*outer });
            }
            outer.first = first;
        }
        open.push(Range { first, last, zone: *zone });
    }
    close_before(u128::MAX, &mut open, &mut ranges);
    // Those left end at the very last number, so behind the innermost nothing is left of the others.
    ranges.extend(open.pop());
    ranges
}

/// Ends the open networks that end before `number`; what holds one of them goes on behind it.
fn close_before(number: u128, open: &mut Vec<Range>, ranges: &mut Vec<Range>) {
    while let Some(range) = open.pop_if(|range| range.last < number) {
        // A network whose last addresses are all an inner one's has nothing left to add.
        if range.first <= range.last {
            ranges.push(range);
        }
        if let Some(outer) = open.last_mut() {
            outer.first = range.last + 1;
        }
    }
}
