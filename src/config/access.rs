//! Options on access: authentication, proxies, prompts, metrics and the hub.

use ipnet::IpNet;

use super::auth_mode::AuthMode;
use super::{Listen, Settings, option::section};
use joulemark_experiment::access::Role;
use joulemark_measurement::quoted;

/// Maximum lifetime of a session: 30 days.
const MAX_SESSION_HOURS: u32 = 720;
/// Value of `trusted_proxy` that trusts every program which may use the socket.
const UNIX: &str = "unix";

section! {
    /// Options on who may use the service.
    pub struct Access with AccessFlags {
        /// Maximum size of a request body, in bytes.
        max_body_bytes: usize = 33554432;

        /// Authentication: keys, or none. With none, everybody on this host may do everything, and only a loopback
        /// address is allowed.
        ///
        /// With none, requests that came through a proxy are rejected. With keys, callers need an API key made by
        /// `joulemark key create`, with the role reader, submitter or admin.
        auth: String as AuthMode = "none";

        /// Proxy whose X-Forwarded-For, -Proto, -Host and -Prefix headers are trusted: an address, a network, or unix
        /// for the listening socket; may be given several times.
        ///
        /// unix trusts every program that may use the socket. An address of this host trusts every user of this host.
        trusted_proxy: Vec<String> = [];

        /// Base URL under which clients reach the service, with scheme, host and prefix [default: taken from each
        /// request].
        ///
        /// Links in callbacks and Location headers begin with it. Without it they begin with the host of the request,
        /// as a trusted proxy reports it, which a client may have chosen.
        public_url: String = "";

        /// Header in which a trusted proxy names the user, e.g. X-Remote-User [default: none].
        ///
        /// The proxy must remove this header from what clients send. A key in the same request takes precedence.
        identity_header: String = "";

        /// Role of users named by the identity header: reader, submitter or admin.
        ///
        /// Applies where neither user_role nor group_role gives a role.
        identity_role: String as Role = "submitter";

        /// Header in which a trusted proxy names the user's groups, separated by commas, e.g. X-Remote-Groups [default:
        /// none].
        ///
        /// The proxy must remove this header from what clients send.
        identity_groups_header: String = "";

        /// Role of one user named by the identity header, NAME=ROLE; may be given several times [default: none].
        ///
        /// It takes precedence over the roles of the user's groups.
        user_role: Vec<String> = [];

        /// Role of the users of a group, GROUP=ROLE; may be given several times [default: none].
        ///
        /// A user of several groups has the role with the most rights.
        group_role: Vec<String> = [];

        /// Hours until a browser must sign in again, up to 720.
        ///
        /// A session also ends when its key does.
        session_hours: u32 = 12, at least 1;

        /// Let every user read the prompts of all users.
        ///
        /// Otherwise users read only the prompts of their own experiments.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        share_prompts: bool = false;

        /// Address or network that may read the metrics without a key; may be given several times [default: none].
        ///
        /// For the address of Prometheus, which reads GET /metrics. Does not apply to requests through an untrusted
        /// proxy. If empty, reading the metrics needs a key.
        metrics_from: Vec<String> = [];

        /// Web origin whose pages may use the API; may be given several times [default: none].
        ///
        /// For example `https://lab.example`. If empty, only the service's own pages may.
        cors_origin: Vec<String> = [];

        /// Hugging Face ID, or org/* for an organization, that allow_hub allows; may be given several times [default:
        /// all].
        hub_allow: Vec<String> = [];
    }
}

impl Settings {
    /// Returns the problems of the options on access.
    pub(super) fn access_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, message: String| {
            if !good {
                problems.push(message);
            }
        };
        let keyless = self.access.auth == AuthMode::None;
        check(
            !keyless || self.service.listen.is_of_this_host(),
            format!(
                "listen is {}, which other hosts can reach, and auth is none, so anybody could run experiments; set auth to keys \
                 (`joulemark key create` creates keys), or listen to a loopback address such as 127.0.0.1:8080 or to unix:/PATH",
                self.service.listen
            ),
        );
        check(
            !keyless || self.access.trusted_proxy.is_empty(),
            "trusted_proxy is set and auth is none, which rejects requests through a proxy; set auth to keys"
                .to_owned(),
        );
        check(
            self.access.identity_header.is_empty() || (!keyless && !self.access.trusted_proxy.is_empty()),
            "identity_header needs auth keys and a trusted_proxy, since it is trusted only from that proxy".to_owned(),
        );
        for (option, name, example) in [
            ("identity_header", &self.access.identity_header, "X-Remote-User"),
            (
                "identity_groups_header",
                &self.access.identity_groups_header,
                "X-Remote-Groups",
            ),
        ] {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            check(
                name.bytes().all(is_token) && !name.eq_ignore_ascii_case("authorization"),
                format!(
                    "{option} is {}; accepted is the name of a header other than Authorization, such as {example}",
                    quoted(name)
                ),
            );
        }
        problems.extend(self.access.role_problems());
        let mut check = |good: bool, message: String| {
            if !good {
                problems.push(message);
            }
        };
        for network in &self.access.trusted_proxy {
            let accepted = "an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and unix";
            check(
                network == UNIX || read_network(network).is_some(),
                format!(
                    "trusted_proxy has {network}; accepted is {accepted}",
                    network = quoted(&network)
                ),
            );
        }
        let is_socket = matches!(self.service.listen, Listen::Socket(_));
        check(
            !self.access.trusts_socket() || is_socket,
            format!(
                "trusted_proxy has unix and listen is {}; unix needs listen to be unix:/PATH",
                self.service.listen
            ),
        );
        for origin in &self.access.cors_origin {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            check(
                host.is_some_and(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/')),
                format!(
                    "cors_origin has {origin}; accepted is an origin such as https://lab.example:8443",
                    origin = quoted(&origin)
                ),
            );
        }
        check(
            self.access.public_url.is_empty() || self.access.public_base().is_some(),
            format!(
                "public_url is {}; accepted is an address such as https://lab.example:8443/joulemark, without user name, \
                 query and fragment",
                quoted(&self.access.public_url)
            ),
        );
        check(
            self.access.session_hours <= MAX_SESSION_HOURS,
            format!(
                "session_hours is {}; accepted are 1 to {MAX_SESSION_HOURS}",
                self.access.session_hours
            ),
        );
        for network in &self.access.metrics_from {
            let accepted = "an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8";
            check(
                read_network(network).is_some(),
                format!(
                    "metrics_from has {network}; accepted is {accepted}",
                    network = quoted(&network)
                ),
            );
        }
        problems
    }
}

impl Access {
    /// Returns whether every program that may use the listening socket is a trusted proxy.
    pub fn trusts_socket(&self) -> bool {
        self.trusted_proxy.iter().any(|proxy| proxy == UNIX)
    }

    /// Returns the base of links, without a slash at the end; `None` when the option is not set.
    pub fn public_base(&self) -> Option<String> {
        let url = self.public_url.parse::<reqwest::Url>().ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_good = is_web && is_plain && url.fragment().is_none();
        is_good.then(|| url.as_str().trim_end_matches('/').to_owned())
    }

    /// Returns the networks of trusted proxies. Invalid entries are skipped; there are none once `problems` is empty.
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        parsed_networks(&self.trusted_proxy)
    }

    /// Returns the networks that may read the metrics without a key. Skips invalid entries likewise.
    pub fn metrics_networks(&self) -> Vec<IpNet> {
        parsed_networks(&self.metrics_from)
    }
}

fn parsed_networks(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| read_network(text)).collect()
}

/// Parses a network or an address.
pub(super) fn read_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use crate::config::{ConfigError, Settings, load};

    fn loaded(toml: &str) -> Result<Settings, ConfigError> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table).map(|layered| layered.settings)
    }

    #[test]
    fn without_authentication_only_a_local_address_is_accepted() {
        for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "unix:/run/joulemark.sock"] {
            loaded(&format!("listen = '{listen}'")).unwrap();
        }
        for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let message = loaded(&format!("listen = '{listen}'")).unwrap_err().to_string();
            assert!(
                message.contains("auth is none") && message.contains("key create"),
                "{message}"
            );
            loaded(&format!("listen = '{listen}'\nauth = 'keys'")).unwrap();
        }
    }

    #[test]
    fn invalid_and_contradictory_options_are_rejected() {
        for (toml, expected) in [
            ("trusted_proxy = ['10.0.0.1']", "rejects requests through a proxy"),
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
            ("stream_check_sec = 61", "stream_check_sec is 61; accepted are 1 to 60"),
            ("session_hours = 0", "session_hours is 0; accepted is 1 or more"),
            ("session_hours = 721", "session_hours is 721; accepted are 1 to 720"),
            ("metrics_from = ['all']", "metrics_from has \"all\""),
            ("public_url = 'lab.example'", "public_url is \"lab.example\""),
            ("public_url = 'https://lab.example/?x'", "accepted is an address"),
            ("public_url = 'https://ada@lab.example'", "accepted is an address"),
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
            let message = loaded(toml).unwrap_err().to_string();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }

    #[test]
    fn the_base_of_links_has_no_trailing_slash() {
        for (given, base) in [
            ("https://lab.example/joulemark/", Some("https://lab.example/joulemark")),
            ("http://LAB.example:8080", Some("http://lab.example:8080")),
            ("", None),
        ] {
            let settings = loaded(&format!("public_url = '{given}'")).unwrap();
            assert_eq!(settings.access.public_base().as_deref(), base, "{given}");
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
        let networks: Vec<_> = settings
            .access
            .trusted_networks()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(networks, ["10.0.0.7/32", "fd00::/8"]);
        let wrong = Table::from_iter([("trusted_proxy".to_owned(), Value::Integer(5))]);
        assert!(
            load(None, |_| None, wrong)
                .unwrap_err()
                .to_string()
                .contains("a list of strings")
        );
    }
}
