use ipnet::IpNet;

use super::auth_mode::AuthMode;
use super::{Listen, Settings, option::section};
use joulemark_experiment::access::Role;
use joulemark_measurement::quoted;

/// Whoever signs in once a month knows that their browser stays signed in.
const MAX_SESSION_HOURS: u32 = 720;
/// Stands in `trusted_proxy` for whoever may write to the socket.
const UNIX: &str = "unix";

section! {
    /// Who may use the service.
    pub struct Access with AccessFlags {
        /// Largest accepted request body in bytes.
        max_body_bytes: usize = 33554432;

        /// keys, or none: everybody on this host may do everything, on a loopback address only.
        ///
        /// With none, nothing is answered that came through a proxy. With keys: API keys, made by `joulemark key create`,
        /// each for a reader, a submitter or an admin.
        auth: String as AuthMode = "none";

        /// A proxy whose X-Forwarded-For, -Proto, -Host and -Prefix are believed, as an address, a network, or unix for the
        /// socket that is listened on; may be given several times.
        ///
        /// "unix" is whoever may use the socket. An address of this host trusts every user of this host.
        trusted_proxy: Vec<String> = [];

        /// Address under which clients know the service, with scheme, host and prefix [default: as each request says].
        ///
        /// Links in callbacks and Location begin with it, and no longer with what a trusted proxy says of a request's host,
        /// which a client may have chosen.
        public_url: String = "";

        /// Header in which a trusted proxy names the user.
        ///
        /// Such as X-Remote-User; the proxy must remove what clients send in it. Empty: none. A key in the same request
        /// goes before it.
        identity_header: String = "";

        /// What users named by the identity header may do: reader, submitter or admin.
        ///
        /// Where neither user_role nor group_role says otherwise.
        identity_role: String as Role = "submitter";

        /// Header in which a trusted proxy names the user's groups, with commas between.
        ///
        /// Such as X-Remote-Groups; the proxy must remove what clients send in it. Empty: none.
        identity_groups_header: String = "";

        /// What one user named by the identity header may do, NAME=ROLE; may be given several times [default: none].
        ///
        /// It goes before what the user's groups may.
        user_role: Vec<String> = [];

        /// What the users of a group may do, GROUP=ROLE; may be given several times [default: none].
        ///
        /// Of a user with several groups here the role counts that may most.
        group_role: Vec<String> = [];

        /// Hours after which who signed in to the pages has to sign in again, up to 720.
        ///
        /// A session ends with its key in any case.
        session_hours: u32 = 12, at least 1;

        /// Let everybody read everybody's prompts.
        ///
        /// Otherwise those of their own experiments only.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        share_prompts: bool = false;

        /// An address or a network that reads the metrics without a key; may be given several times [default: none].
        ///
        /// Such as Prometheus' own, for GET /metrics; never through a proxy that is not trusted. Empty: with a reader's key
        /// only.
        metrics_from: Vec<String> = [];

        /// A web origin whose pages may use the API; may be given several times [default: none].
        ///
        /// Such as `https://lab.example`; none but its own when empty.
        cors_origin: Vec<String> = [];

        /// A Hugging Face id, or org/* for all of an organisation's, that allow_hub is for; may be given several times
        /// [default: all].
        hub_allow: Vec<String> = [];
    }
}

impl Settings {
    /// What does not go together, or cannot be read, of the options on access.
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
                "listen is {}, where others can reach it, and auth is none: anybody could run experiments; use auth keys \
                 (`joulemark key create` makes keys), or listen on a loopback address such as 127.0.0.1:8080, or on unix:/PATH",
                self.service.listen
            ),
        );
        check(
            !keyless || self.access.trusted_proxy.is_empty(),
            "trusted_proxy is set and auth is none, which serves nothing through a proxy; use auth keys".to_owned(),
        );
        check(
            self.access.identity_header.is_empty() || (!keyless && !self.access.trusted_proxy.is_empty()),
            "identity_header needs auth keys and a trusted_proxy, the only one it is believed from".to_owned(),
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
                    "{option} is {}; accepted is a header's name other than Authorization, such as {example}",
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
                "trusted_proxy has unix and listen is {}; it is for the proxy that talks to unix:/PATH",
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
    /// Whether whoever may write to the socket that is listened on is a trusted proxy.
    pub fn trusts_socket(&self) -> bool {
        self.trusted_proxy.iter().any(|proxy| proxy == UNIX)
    }

    /// Returns what links begin with, without a slash at the end; `None` where the option is not set.
    pub fn public_base(&self) -> Option<String> {
        let url = self.public_url.parse::<reqwest::Url>().ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_good = is_web && is_plain && url.fragment().is_none();
        is_good.then(|| url.as_str().trim_end_matches('/').to_owned())
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

    use crate::config::{ConfigError, Settings, load};

    fn loaded(toml: &str) -> Result<Settings, ConfigError> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table).map(|layered| layered.settings)
    }

    #[test]
    fn without_authentication_only_a_loopback_address_is_listened_on() {
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
    fn links_begin_with_the_public_url_without_a_slash_at_its_end() {
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
                .contains("a list of texts")
        );
    }
}
