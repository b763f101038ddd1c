//! Distinguishes addresses of the public internet from all others.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks that are not public: this host, private, shared and link-local networks (which include cloud metadata
/// services at 169.254.169.254 and fd00:ec2::254), documentation, multicast, and addresses that embed an IPv4 address.
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry> and the same for IPv6.
const SPECIAL: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast, and the reserved range above it.
    "224.0.0.0/3",
    // Teredo, ORCHID and others; 6to4 embeds an IPv4 address.
    "2001::/23",
    "2002::/16",
];
/// The only range of IPv6 that is assigned for the public internet.
const GLOBAL_UNICAST: &str = "2000::/3";
const DOCUMENTATION: [&str; 2] = ["2001:db8::/32", "3fff::/20"];

/// Returns whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_in = |text: &&str| text.parse::<IpNet>().is_ok_and(|network| network.contains(&address));
    let is_special = SPECIAL.iter().chain(&DOCUMENTATION).any(is_in);
    !is_special && (address.is_ipv4() || is_in(&GLOBAL_UNICAST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_network_of_the_table_can_be_read() {
        for text in SPECIAL.iter().chain(&DOCUMENTATION).chain(&[GLOBAL_UNICAST]) {
            text.parse::<IpNet>().unwrap();
        }
    }

    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        /// No address passes that the standard library classifies as special.
        #[test]
        fn no_address_is_public_that_the_standard_library_classifies_as_special(bits: u32, bits6: u128) {
            let address = std::net::Ipv4Addr::from_bits(bits);
            if address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified() {
                prop_assert!(!is_public(address.into()), "{}", address);
            }
            let mapped = address.to_ipv6_mapped();
            prop_assert_eq!(is_public(mapped.into()), is_public(address.into()));
            let address = std::net::Ipv6Addr::from_bits(bits6);
            if address.is_multicast() || address.is_unique_local() || address.is_unicast_link_local() {
                prop_assert!(!is_public(address.into()), "{}", address);
            }
        }
    }
}
