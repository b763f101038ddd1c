use ipnet::IpNet;

use super::auth_mode::AuthMode;
use super::{Listen, Settings};

/// Stands in `trusted_proxy` for whoever may write to the socket.
const UNIX: &str = "unix";

impl Settings {
    /// What does not go together, or cannot be read, of the options on access.
    pub(super) fn access_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, message: String| {
            if !good {
                problems.push(message);
            }
        };
        let keyless = self.auth == AuthMode::None;
        check(
            !keyless || self.listen.is_of_this_host(),
            format!(
                "listen is {}, where others can reach it, and auth is none: anybody could run experiments; use auth keys \
                 (`joulemark key create` makes keys), or listen on a loopback address such as 127.0.0.1:8080, or on unix:/PATH",
                self.listen
            ),
        );
        check(
            !keyless || self.trusted_proxy.is_empty(),
            "trusted_proxy is set and auth is none, which serves nothing through a proxy; use auth keys".to_owned(),
        );
        check(
            self.identity_header.is_empty() || (!keyless && !self.trusted_proxy.is_empty()),
            "identity_header needs auth keys and a trusted_proxy, the only one it is believed from".to_owned(),
        );
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        check(
            self.identity_header.bytes().all(is_token) && !self.identity_header.eq_ignore_ascii_case("authorization"),
            format!(
                "identity_header is {:?}; accepted is a header's name other than Authorization, such as X-Remote-User",
                self.identity_header
            ),
        );
        for network in &self.trusted_proxy {
            let accepted = "an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and unix";
            check(
                network == UNIX || read_network(network).is_some(),
                format!("trusted_proxy has {network:?}; accepted is {accepted}"),
            );
        }
        let is_socket = matches!(self.listen, Listen::Socket(_));
        check(
            !self.trusts_socket() || is_socket,
            format!(
                "trusted_proxy has unix and listen is {}; it is for the proxy that talks to unix:/PATH",
                self.listen
            ),
        );
        for origin in &self.cors_origin {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            check(
                host.is_some_and(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/')),
                format!("cors_origin has {origin:?}; accepted is an origin such as https://lab.example:8443"),
            );
        }
        for network in &self.metrics_from {
            let accepted = "an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8";
            check(
                read_network(network).is_some(),
                format!("metrics_from has {network:?}; accepted is {accepted}"),
            );
        }
        let collector = self.otlp_endpoint.strip_prefix("http://");
        let collector = collector.or_else(|| self.otlp_endpoint.strip_prefix("https://"));
        check(
            self.otlp_endpoint.is_empty() || collector.is_some_and(|host| !host.is_empty() && !host.starts_with('/')),
            format!(
                "otlp_endpoint is {:?}; accepted is the base URL of a collector that takes OTLP over HTTP, such as \
                 http://127.0.0.1:4318",
                self.otlp_endpoint
            ),
        );
        problems.extend(self.limits.problems());
        problems
    }

    /// Whether whoever may write to the socket that is listened on is a trusted proxy.
    pub fn trusts_socket(&self) -> bool {
        self.trusted_proxy.iter().any(|proxy| proxy == UNIX)
    }

    /// Those that can be read, which all can once `problems` found nothing.
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        networks(&self.trusted_proxy)
    }

    /// Likewise, of those that need no key for the metrics.
    pub fn metrics_networks(&self) -> Vec<IpNet> {
        networks(&self.metrics_from)
    }
}

fn networks(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| read_network(text)).collect()
}

pub(super) fn read_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use crate::config::load;

    fn loaded(toml: &str) -> Result<crate::config::Settings, String> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table)
            .map(|layered| layered.settings)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_authentication_only_a_loopback_address_is_listened_on() {
        for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "unix:/run/joulemark.sock"] {
            loaded(&format!("listen = '{listen}'")).unwrap();
        }
        for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let message = loaded(&format!("listen = '{listen}'")).unwrap_err();
            assert!(
                message.contains("auth is none") && message.contains("key create"),
                "{message}"
            );
            loaded(&format!("listen = '{listen}'\nauth = 'keys'")).unwrap();
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (toml, expected) in [
            ("trusted_proxy = ['10.0.0.1']", "serves nothing through a proxy"),
            (
                "auth = 'keys'\nidentity_header = 'x-user'",
                "needs auth keys and a trusted_proxy",
            ),
            (
                "auth = 'keys'\ntrusted_proxy = ['10.0.0.0/40']",
                "trusted_proxy has \"10.0.0.0/40\"",
            ),
            ("auth = 'keys'\ncors_origin = ['*']", "cors_origin has \"*\""),
            (
                "auth = 'keys'\ntrusted_proxy = ['::1']\nidentity_header = 'a b'",
                "identity_header is \"a b\"",
            ),
            ("max_uri_bytes = 0", "max_uri_bytes is 0; accepted is 256 or more"),
            ("metrics_from = ['all']", "metrics_from has \"all\""),
            (
                "otlp_endpoint = 'collector:4318'",
                "otlp_endpoint is \"collector:4318\"",
            ),
            (
                "auth = 'keys'\ntrusted_proxy = ['unix']",
                "trusted_proxy has unix and listen is 127.0.0.1:8080",
            ),
            ("listen = 'unix:a.sock'", "accepted are ADDRESS:PORT"),
            ("auth = 'open'", "auth"),
        ] {
            let message = loaded(toml).unwrap_err();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }

    #[test]
    fn a_list_is_separated_by_commas_in_the_environment() {
        let environment = |name: &str| match name {
            "JOULEMARK_TRUSTED_PROXY" => Some("10.0.0.7, fd00::/8".to_owned()),
            "JOULEMARK_AUTH" => Some("keys".to_owned()),
            _ => None,
        };
        let settings = load(None, environment, Table::new()).unwrap().settings;
        let networks: Vec<_> = settings.trusted_networks().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.7/32", "fd00::/8"]);
        let wrong = Table::from_iter([("trusted_proxy".to_owned(), Value::Integer(5))]);
        assert!(
            load(None, |_| None, wrong)
                .unwrap_err()
                .to_string()
                .contains("a list of texts")
        );
    }
}
