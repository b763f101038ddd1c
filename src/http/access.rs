//! Who may do what over HTTP: callers are told apart, held to their role and their rate, and believed no further than
//! the admin says. One rule gives every operation its scope; handlers ask the [`Caller`] only what depends on whose
//! experiment it is.

mod authenticate;
mod caller;
mod cookie;
mod from_here;
mod key;
mod last_used;
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

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Address(SocketAddr),
    /// A program of this host that may use the socket, whichever.
    Socket,
}

impl Peer {
    /// This host's, of a program that came by the socket.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Address(address) => address.ip().to_canonical(),
            Self::Socket => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

/// Returns how what an address holds is counted: one of IPv6 together with its network of 64 bits, which is one client's.
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
