mod mmdb;

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, prelude::*};

use super::*;

/// What [`mmdb::sample`] makes, for programs whose tests read a file.
const SAMPLE: &[u8] = include_bytes!("tests/places.mmdb");

fn zone(name: &str, networks: &str, places: &str, next: &str) -> Zone {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Zone {
        name: name.to_owned(),
        networks: words(networks).iter().map(|text| text.parse().expect("a network")).collect(),
        places: words(places).iter().map(|text| text.parse().expect("a place")).collect(),
        next: words(next),
    }
}

fn geoip() -> Arc<GeoIp> {
    Arc::new(GeoIp::parse(mmdb::sample()).expect("the sample can be read"))
}

fn named(zones: &Zones, client: &str) -> String {
    let zone = zones.of(client.parse().expect("an address"));
    zone.map_or_else(|| "-".to_owned(), |zone| zones.names()[usize::from(zone.0)].clone())
}

fn zones(zones: &[Zone], geoip: Option<&Arc<GeoIp>>) -> Zones {
    let mut zones = Zones::new(zones).expect("zones that fit each other");
    if let Some(geoip) = geoip {
        zones.look_in(Arc::clone(geoip));
    }
    zones
}

#[test]
fn without_zones_no_client_is_anywhere() {
    let zones = self::zones(&[], Some(&geoip()));
    assert!(zones.is_empty() && zones.names().is_empty());
    assert_eq!(named(&zones, "10.0.0.1"), "-");
    assert!(zones.next(ZoneId(0)).is_empty());
}

#[test]
fn the_most_specific_network_has_the_client() {
    let zones = [
        zone("all", "0.0.0.0/0 2001:db8::/32", "", "site"),
        zone("site", "10.0.0.0/8 10.1.1.0/25 2001:db8:7::/48 203.0.113.7/32", "", ""),
        zone("rack", "10.1.0.0/16 10.255.255.255/32 2001:db8:7::1/128", "", "site all"),
    ];
    let zones = self::zones(&zones, None);
    for (client, expected) in [
        ("0.0.0.0", "all"),
        ("9.255.255.255", "all"),
        ("10.0.0.0", "site"),
        ("10.0.255.255", "site"),
        ("10.1.0.0", "rack"),
        ("10.1.1.0", "site"),
        ("10.1.1.127", "site"),
        ("10.1.1.128", "rack"),
        ("10.1.255.255", "rack"),
        ("10.2.0.0", "site"),
        ("10.255.255.254", "site"),
        ("10.255.255.255", "rack"),
        ("11.0.0.0", "all"),
        ("203.0.113.7", "site"),
        ("255.255.255.255", "all"),
        ("::ffff:10.1.2.3", "rack"),
        ("2001:db8::1", "all"),
        ("2001:db8:7::", "site"),
        ("2001:db8:7::1", "rack"),
        ("2001:db8:7::2", "site"),
        ("2001:db9::", "-"),
        ("::10.1.2.3", "-"),
        ("::1", "-"),
    ] {
        assert_eq!(named(&zones, client), expected, "{client}");
    }
    assert_eq!(zones.next(ZoneId(2)), [ZoneId(1), ZoneId(0)]);
    assert_eq!(zones.next(ZoneId(1)), []);
}

#[test]
fn a_network_of_every_ipv6_address_holds_no_ipv4_client() {
    let zones = [zone("six", "::/0", "", ""), zone("four", "::ffff:10.0.0.0/104", "", "")];
    let zones = self::zones(&zones, None);
    for (client, expected) in [
        ("::", "six"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "six"),
        ("192.0.2.1", "-"),
        ("::ffff:192.0.2.1", "-"),
        ("10.9.9.9", "four"),
        ("::ffff:10.9.9.9", "four"),
    ] {
        assert_eq!(named(&zones, client), expected, "{client}");
    }
}

#[test]
fn a_client_of_no_network_is_found_by_country_then_by_continent() {
    let zones = [
        zone("lan", "198.51.100.0/25", "", ""),
        zone("de", "", "DE", "eu"),
        zone("eu", "", "EU country:NA", ""),
        zone("us", "", "NA", ""),
    ];
    let zones = self::zones(&zones, Some(&geoip()));
    for (client, expected) in [
        ("198.51.100.1", "lan"),
        ("198.51.100.129", "de"),
        ("::ffff:198.51.100.129", "de"),
        ("203.0.113.1", "eu"),
        ("2001:db8:1::1", "us"),
        ("2001:db8:2::1", "eu"),
        ("192.0.2.1", "eu"),
        ("8.8.8.8", "-"),
        ("2001:db8:ffff::1", "-"),
    ] {
        assert_eq!(named(&zones, client), expected, "{client}");
    }
}

#[test]
fn an_ipv6_client_is_nowhere_in_a_file_of_ipv4() {
    let file = mmdb::file(4, &[("192.0.2.0/24", "DE", "EU")]);
    let geoip = Arc::new(GeoIp::parse(file).expect("a file of IPv4"));
    let zones = self::zones(&[zone("de", "", "DE", "")], Some(&geoip));
    assert_eq!(named(&zones, "192.0.2.1"), "de");
    assert_eq!(named(&zones, "2001:db8::1"), "-");
}

#[test]
fn a_newer_file_counts_at_once_and_a_bad_one_not_at_all() {
    let geoip = geoip();
    let zones = [zone("de", "", "DE", ""), zone("fr", "", "FR", "")];
    let zones = self::zones(&zones, Some(&geoip));
    assert_eq!(named(&zones, "198.51.100.1"), "de");
    let newer = mmdb::file(6, &[("198.51.100.0/24", "FR", "EU")]);
    geoip.replace(newer.clone()).expect("the newer file");
    assert_eq!(named(&zones, "198.51.100.1"), "fr");
    assert!(geoip.replace(newer[..newer.len() / 2].to_vec()).is_err());
    assert_eq!(named(&zones, "198.51.100.1"), "fr");
}

#[test]
fn a_file_that_names_no_place_is_refused() {
    for (bytes, said) in [
        (Vec::new(), "no MaxMind database"),
        (b"not a database".to_vec(), "no MaxMind database"),
        (mmdb::file(4, &[]), "names no countries"),
        (mmdb::file(4, &[("192.0.2.0/24", "", "")]), "names no countries"),
    ] {
        let error = GeoIp::parse(bytes).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_sample_file_is_what_the_encoder_makes() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(SAMPLE), hex(&mmdb::sample()), "tests/places.mmdb, and what it is to hold");
}

#[test]
fn zones_that_contradict_each_other_are_refused_by_name() {
    let a = || zone("a", "10.0.0.0/8", "", "");
    for (zones, said) in [
        (vec![a(), zone("a", "11.0.0.0/8", "", "")], "two zones are called \"a\""),
        (vec![zone("", "10.0.0.0/8", "", "")], "the name \"\""),
        (vec![zone("a\nb", "10.0.0.0/8", "", "")], "the name \"a\\nb\""),
        (vec![zone("e", "", "", "")], "\"e\" has neither networks nor places"),
        (
            vec![a(), zone("b", "11.0.0.0/8", "", "c")],
            "\"c\" in next, but the zones are \"a\", \"b\"",
        ),
        (vec![zone("a", "10.0.0.0/8", "", "a")], "itself or was named before"),
        (vec![a(), zone("b", "11.0.0.0/8", "", "a a")], "itself or was named before"),
        (vec![a(), zone("b", "10.9.9.9/8", "", "")], "10.0.0.0/8 is in the zones \"a\" and \"b\""),
        (vec![a(), zone("b", "::ffff:10.0.0.0/104", "", "")], "10.0.0.0/8 is in the zones"),
        (vec![zone("a", "10.0.0.0/8 10.1.2.3/8", "", "")], "\"a\" and \"a\""),
        (vec![zone("a", "", "DE", ""), zone("b", "", "FR DE", "")], "the place DE is in the zones"),
        (vec![zone("a", "", "country:NA country:NA", "")], "the place country:NA"),
        (vec![a(); ZONES_MAX + 1], "257 zones"),
    ] {
        let error = Zones::new(&zones).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_place_is_two_capitals_and_a_shared_code_is_the_continent() {
    for (text, place) in [
        ("DE", Place::Country(*b"DE")),
        ("country:DE", Place::Country(*b"DE")),
        ("EU", Place::Continent(*b"EU")),
        ("NA", Place::Continent(*b"NA")),
        ("country:NA", Place::Country(*b"NA")),
    ] {
        let parsed: Place = text.parse().expect(text);
        assert_eq!(parsed, place);
        assert_eq!(parsed.to_string().parse(), Ok(place));
    }
    for text in ["", "de", "D", "DEU", "D1", "Ü", "country:", "country:de", "continent:EU", " DE"]
    {
        assert_eq!(text.parse::<Place>(), Err(BadPlace), "{text:?}");
    }
}

/// The zone by definition: of the networks that hold the client, the longest prefix.
fn scanned(zones: &[Zone], client: IpAddr) -> Option<ZoneId> {
    let client = client.to_canonical();
    numbered(zones)
        .flat_map(|(id, zone)| zone.networks.iter().map(move |network| (network, id)))
        .filter(|(network, _)| network.contains(&client))
        .max_by_key(|(network, _)| network.prefix_len())
        .map(|(_, id)| id)
}

/// Addresses that differ in few bits, so that networks lie in one another and have a client.
fn address() -> impl Strategy<Value = IpAddr> {
    let crowded = |bits: u8| (u32::from(bits & 0xf0) << 24) | u32::from(bits & 0x0f);
    let edge = prop_oneof![Just(0_u32), Just(u32::MAX), any::<u8>().prop_map(crowded)];
    let v4 = edge.clone().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let v6 = (edge, any::<bool>()).prop_map(|(bits, high)| {
        let bits = u128::from(bits) << if high { 96 } else { 0 };
        IpAddr::V6(Ipv6Addr::from_bits(if bits >> 96 == 0xffff_ffff { u128::MAX } else { bits }))
    });
    prop_oneof![v4, v6]
}

fn network() -> impl Strategy<Value = IpNet> {
    let prefix_len = prop_oneof![0_u8..=8, 24_u8..=36, 96_u8..=128, Just(32_u8)];
    (address(), prefix_len).prop_map(|(address, prefix_len)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, prefix_len.min(most)).expect("a prefix that fits").trunc()
    })
}

proptest! {
    #[test]
    fn a_file_with_any_bytes_changed_is_refused_or_used_without_harm(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        clients in vec(any::<u32>(), 8),
    ) {
        let mut bytes = SAMPLE.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(SAMPLE.len()));
        }
        let Ok(geoip) = GeoIp::parse(bytes) else { return Ok(()) };
        let mut zones = Zones::new(&[zone("eu", "", "EU", "")]).expect("zones");
        zones.look_in(Arc::new(geoip));
        for client in clients {
            let _ = zones.of(Ipv4Addr::from_bits(client).into());
            let _ = zones.of(Ipv6Addr::from_bits(u128::from(client) << 96 | 1).into());
        }
        for client in ["198.51.100.1", "203.0.113.9", "192.0.2.1", "2001:db8:1::1"] {
            let _ = named(&zones, client);
        }
    }

    #[test]
    fn ranges_find_what_a_scan_for_the_longest_prefix_finds(
        networks in vec((network(), 0_usize..4), 0..24),
        clients in vec(address(), 1..24),
    ) {
        let mut zones: Vec<_> =
            ["a", "b", "c", "d"].into_iter().map(|name| zone(name, "", "", "")).collect();
        let mut seen = Vec::new();
        for (network, zone) in networks {
            if !seen.contains(&network) {
                seen.push(network);
                zones[zone].networks.push(network);
            }
        }
        zones.retain(|zone| !zone.networks.is_empty());
        let built = Zones::new(&zones).expect("no network twice");
        // Besides any clients, the first and the last address of every network.
        let ends = seen.iter().flat_map(|network| [network.network(), network.broadcast()]);
        for client in clients.into_iter().chain(ends) {
            prop_assert_eq!(built.of(client), scanned(&zones, client), "{}", client);
        }
    }
}
