//! Access control over HTTP: identifies the caller, and applies roles, rate limits and the trust in proxies that the
//! admin configured. One rule gives each operation the role it requires. Handlers ask the [`Caller`] only about what
//! depends on the owner of an experiment.

mod authenticate;
mod caller;
mod cookie;
mod key;
mod last_used;
mod local_only;
mod named_roles;
mod next_page;
mod origin;
mod person;
mod policy;
mod rate;
mod scope;
mod session;
mod watch;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use authenticate::{Who, authenticate, identify};
pub use caller::Caller;
pub use cookie::SessionCookie;
pub use key::good_key;
pub use last_used::LastUsed;
pub use named_roles::NamedRoles;
pub use next_page::NextPage;
pub use origin::{Origin, TrustedProxies};
pub use person::{accepts_html, is_of_a_person};
pub use policy::{Access, Authentication};
pub use rate::RateLimit;
pub use scope::{SIGN_IN, SIGN_OUT, Scope, is_page, scope_of};
pub use session::by_session;
pub use watch::KeysInUse;

/// The remote end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(SocketAddr),
    /// A program of this host, connected by the Unix socket.
    Socket,
}

impl Peer {
    /// Returns the remote address; the loopback address for the Unix socket.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Address(address) => address.ip().to_canonical(),
            Self::Socket => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

/// Returns the name under which an address holds permits. IPv6 addresses of one /64 network, which belong to one
/// client, share a name.
pub fn of_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("address {address}"),
        IpAddr::V6(address) => {
            let [one, two, three, four, ..] = address.segments();
            format!("address {one:x}:{two:x}:{three:x}:{four:x}::/64")
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Socket => formatter.write_str("the socket"),
        }
    }
}
