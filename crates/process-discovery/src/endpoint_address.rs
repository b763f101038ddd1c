use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};

use crate::host::Host;

/// The port of the "discard" service, for sockets over which nothing is sent.
const DISCARD: u16 = 9;

/// Returns the addresses of this host that the `name` of an endpoint stands for; empty when it belongs, or may belong,
/// to another host. Only the host's own name is resolved, by the system's resolver.
pub fn addresses_here(host: &Host, name: &str) -> Vec<IpAddr> {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let addresses: Vec<IpAddr> = if let Ok(address) = bare.parse::<IpAddr>() {
        vec![address]
    } else if bare.eq_ignore_ascii_case("localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else if own_name(host).is_some_and(|own| own.eq_ignore_ascii_case(bare)) {
        let found = (bare, DISCARD).to_socket_addrs().into_iter().flatten();
        found.map(|address| address.ip()).collect()
    } else {
        Vec::new()
    };
    let mut own: Vec<IpAddr> = addresses
        .into_iter()
        .map(as_connected)
        .filter(|address| is_own(*address))
        .collect();
    own.sort();
    own.dedup();
    own
}

/// Returns the address that a connection to this address reaches. An unspecified address reaches the host itself.
fn as_connected(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// Returns whether an address belongs to this host: the kernel then routes to it from that address. Sends nothing.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let leads_to_itself = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, DISCARD))?;
        socket.local_addr()
    };
    address.is_loopback() || leads_to_itself().is_ok_and(|from| from.ip() == address)
}

/// Returns the name of this host.
fn own_name(host: &Host) -> Option<String> {
    let name = std::fs::read_to_string(host.proc_root.join("sys/kernel/hostname")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> Vec<String> {
        let found = addresses_here(&Host::here(), name);
        found.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn loopback_names_and_addresses_are_this_host() {
        assert_eq!(here("127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(here("127.8.9.10"), ["127.8.9.10"]);
        assert_eq!(here("[::1]"), ["::1"]);
        assert_eq!(here("LocalHost"), ["127.0.0.1", "::1"]);
        assert_eq!(here("0.0.0.0"), ["127.0.0.1"]);
        assert_eq!(here("::"), ["::1"]);
        assert_eq!(here("::ffff:127.0.0.1"), ["127.0.0.1"]);
    }

    #[test]
    fn addresses_and_names_of_other_hosts_are_not() {
        // Addresses reserved for documentation.
        for name in [
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
            "gpu7.example",
            "",
            "[]",
            "127.0.0.1.",
            "a b",
        ] {
            assert!(here(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_address_of_an_interface_is_this_host_s() {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        // A host without a network has no such address.
        if socket.connect(("192.0.2.1", DISCARD)).is_ok() {
            let own = socket.local_addr().expect("its address").ip().to_string();
            assert_eq!(here(&own), std::slice::from_ref(&own));
        }
    }
}
