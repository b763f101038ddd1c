//! Listening sockets, as listed in `/proc/net/tcp` and `/proc/net/tcp6`. Owns their format, and the choice of the
//! socket that a connection reaches when several match.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::Host;

/// The kernel's `TCP_LISTEN`.
const LISTEN: &str = "0A";
/// Hexadecimal digits of a 32-bit word of an address.
const WORD_DIGITS: usize = 8;

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: IpAddr,
    pub port: u16,
    /// The user who opened it.
    pub uid: u32,
    pub inode: u64,
}

impl Listener {
    /// Parses a line; `None` for a socket in another state, for the heading, and for any other text.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
        let [_, local, _, LISTEN, _, _, _, uid, _, inode, ..] = fields[..] else {
            return None;
        };
        let (address, port) = local.split_once(':')?;
        Some(Self {
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            uid: uid.parse().ok()?,
            inode: inode.parse().ok()?,
        })
    }

    /// Returns how well the socket matches a connection to `wanted`, the best match lowest; `None` when it does not
    /// match. The kernel prefers the exact address to the unspecified one, and among unspecified ones a socket of the
    /// connection's IP version. An IPv6-only socket cannot be distinguished from a dual-stack one in the list and
    /// counts as dual-stack.
    fn rank(&self, wanted: IpAddr) -> Option<u8> {
        let is_of_version = self.address.is_ipv4() == wanted.is_ipv4();
        let address = self.address.to_canonical();
        let is_any = self.address.is_unspecified() || address.is_unspecified();
        let serves = is_of_version || wanted.is_ipv4();
        match (address == wanted, is_any && serves, is_of_version) {
            (true, _, true) => Some(0),
            (true, _, false) => Some(1),
            (false, true, true) => Some(2),
            (false, true, false) => Some(3),
            (false, false, _) => None,
        }
    }
}

/// Returns the sockets in `listeners` that a connection to `address` and `port` can reach; several when they share the
/// port.
pub fn answering(listeners: &[Listener], address: IpAddr, port: u16) -> Vec<Listener> {
    let fitting = listeners.iter().filter(|listener| listener.port == port);
    let ranked: Vec<(u8, Listener)> = fitting
        .filter_map(|listener| Some((listener.rank(address)?, *listener)))
        .collect();
    let Some(best) = ranked.iter().map(|(rank, _)| *rank).min() else {
        return Vec::new();
    };
    ranked
        .into_iter()
        .filter(|(rank, _)| *rank == best)
        .map(|(_, listener)| listener)
        .collect()
}

/// Reads all listening sockets of the host.
///
/// # Errors
/// Returns an error when the list for IPv4 cannot be read. A missing list for IPv6 means that the kernel does not
/// support it.
pub fn listeners(host: &Host) -> io::Result<Vec<Listener>> {
    let read = |name: &str| std::fs::read_to_string(host.proc_root.join("net").join(name));
    let v6 = match read("tcp6") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let v4 = read("tcp")?;
    Ok(v4.lines().chain(v6.lines()).filter_map(Listener::parse).collect())
}

/// Parses an address, whose 32-bit words are printed in the host's byte order although they contain bytes in network
/// order.
fn parse_address(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let word = |index: usize| {
        let digits = digits.get(index * WORD_DIGITS..(index + 1) * WORD_DIGITS)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match digits.len() / WORD_DIGITS {
        1 if digits.len() == WORD_DIGITS => Some(Ipv4Addr::from(word(0)?).into()),
        4 if digits.len() == 4 * WORD_DIGITS => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::tcp_line;

    fn listener(address: &str, inode: u64) -> Listener {
        Listener {
            address: address.parse().expect("an address"),
            port: 8000,
            uid: 0,
            inode,
        }
    }

    fn answering_inodes(addresses: &[&str], wanted: &str) -> Vec<u64> {
        let listeners: Vec<_> = (1..)
            .zip(addresses)
            .map(|(inode, address)| listener(address, inode))
            .collect();
        let found = answering(&listeners, wanted.parse().expect("an address"), 8000);
        found.iter().map(|listener| listener.inode).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_kernel_is_read() {
        let line = "  12: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1065 1 \
                    000000006fea4874 100 0 0 10 0";
        let read = Listener::parse(line).expect("a listener");
        let expected = Listener {
            uid: 1000,
            ..listener("127.0.0.1", 1065)
        };
        assert_eq!(read, expected);
        assert_eq!(Listener::parse(&line.replace(" 0A ", " 01 ")), None, "a connection");
        assert_eq!(Listener::parse("  sl  local_address rem_address   st tx_queue"), None);
        let v6 = line.replace("0100007F:", "0000000000000000FFFF00000100007F:");
        let mapped = Listener::parse(&v6).expect("a listener").address;
        assert_eq!(mapped.to_string(), "::ffff:127.0.0.1");
    }

    #[test]
    fn the_exact_address_is_preferred_to_the_unspecified_one() {
        assert_eq!(answering_inodes(&["0.0.0.0", "127.0.0.1", "::"], "127.0.0.1"), [2]);
        assert_eq!(answering_inodes(&["0.0.0.0", "::ffff:127.0.0.1"], "127.0.0.1"), [2]);
        assert_eq!(answering_inodes(&["::", "0.0.0.0", "127.0.0.2"], "127.0.0.1"), [2]);
        assert_eq!(answering_inodes(&["::", "127.0.0.2"], "127.0.0.1"), [1]);
        assert_eq!(answering_inodes(&["127.0.0.1", "127.0.0.1"], "127.0.0.1"), [1, 2]);
    }

    #[test]
    fn a_socket_of_the_other_ip_version_does_not_match() {
        assert_eq!(answering_inodes(&["0.0.0.0", "127.0.0.1"], "::1"), [0_u64; 0]);
        assert_eq!(answering_inodes(&["::1"], "127.0.0.1"), [0_u64; 0]);
        assert_eq!(answering_inodes(&["::", "::1"], "::1"), [2]);
        assert_eq!(answering_inodes(&["::ffff:0.0.0.0"], "127.0.0.1"), [1]);
    }

    #[test]
    fn real_sockets_are_listed_and_connections_are_not() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let _connection = TcpStream::connect(address).expect("a connection");
        let all = listeners(&Host::here()).expect("the lists");
        let found = answering(&all, address.ip(), address.port());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in ".*") {
            let _ = Listener::parse(&line);
        }

        #[test]
        fn no_fields_of_the_right_number_make_the_parser_panic(
            local in "[0-9A-Fa-f:+é]{0,40}",
            uid in "[0-9-]{0,22}",
            inode in "[0-9-]{0,22}",
        ) {
            let _ = Listener::parse(&format!("0: {local} 0:0 0A 0:0 0:0 0 {uid} 0 {inode} 1"));
        }

        #[test]
        fn the_kernel_s_format_is_read_back(address: IpAddr, port: u16, inode: u64, uid: u32) {
            let line = tcp_line(address, port, uid, inode);
            prop_assert_eq!(Listener::parse(&line), Some(Listener { address, port, uid, inode }));
        }
    }
}
