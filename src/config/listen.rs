//! The option `listen`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use joulemark_measurement::quoted;
use serde::Deserialize;
use thiserror::Error;

const SOCKET_SCHEME: &str = "unix:";

/// Where the API listens: an address such as `127.0.0.1:8080`, or a Unix socket such as
/// `unix:/run/joulemark/http.sock`, which the permissions of the file protect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    Address(SocketAddr),
    Socket(PathBuf),
}

/// Error for a text that is neither an address with a port nor a socket.
#[derive(Debug, Error)]
#[error("{} cannot be listened on; accepted are ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, and unix:/PATH", quoted(.0))]
pub struct InvalidListen(String);

impl Listen {
    /// Returns whether only programs of this host can connect.
    pub fn is_of_this_host(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Socket(_) => true,
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = InvalidListen;

    fn try_from(text: String) -> Result<Self, InvalidListen> {
        let read = match text.strip_prefix(SOCKET_SCHEME) {
            Some(path) => path.starts_with('/').then(|| Self::Socket(PathBuf::from(path))),
            None => text.parse().ok().map(Self::Address),
        };
        read.ok_or(InvalidListen(text))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(formatter, "{address}"),
            Self::Socket(path) => write!(formatter, "{SOCKET_SCHEME}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_socket_is_displayed_as_it_was_parsed() {
        for (text, is_of_this_host) in [
            ("127.0.0.1:8080", true),
            ("[::1]:0", true),
            ("0.0.0.0:8080", false),
            ("unix:/run/joulemark/http.sock", true),
        ] {
            let listen = Listen::try_from(text.to_owned()).unwrap();
            assert_eq!(listen.to_string(), text);
            assert_eq!(listen.is_of_this_host(), is_of_this_host, "{text}");
        }
    }

    #[test]
    fn other_text_is_rejected_with_what_is_accepted() {
        for text in ["", "8080", "localhost:8080", "unix:", "unix:here.sock", "/run/x.sock"] {
            let error = Listen::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("127.0.0.1:8080") && error.contains("unix:/PATH"),
                "{error}"
            );
        }
    }
}
