use std::path::PathBuf;

use ipnet::IpNet;

use super::access::read_network;
use super::option::section;
use joulemark_measurement::quoted;

section! {
    /// Who may be told over HTTP of an experiment's end.
    pub struct Callback with CallbackFlags {
        /// A host (*.NAME for all below it), address or network that a callback_url may name; may be given several times
        /// [default: none].
        ///
        /// Such as "ci.lab.example", "*.lab.example" and 10.7.0.0/16. A name's addresses must be public, or in one of the
        /// networks; private, loopback, link-local and the clouds' metadata addresses are called only where a network here
        /// holds them. Empty: nobody is called back.
        callback_allow: Vec<String> = [];

        /// File with the secret that callbacks are signed with, 16 bytes or more.
        ///
        /// The signature is HMAC-SHA256; it is needed where any callback is allowed.
        callback_secret_file: PathBuf = "";

        /// Allow callback URLs without TLS.
        ///
        /// They may then be http, and not https alone.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        callback_http: bool = false;

        /// Seconds after which a callback that failed is made again the first time.
        ///
        /// Three times as long after each further try, up to an hour.
        callback_retry_sec: u32 = 10, at least 1;

        /// How often a callback is tried.
        callback_attempts: u32 = 12, at least 1;
    }
}

impl Callback {
    /// What does not go together, or cannot be read. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for entry in &self.callback_allow {
            if read_network(entry).is_none() && !is_name(entry) {
                problems.push(format!(
                    "callback_allow has {entry}; accepted are a host's name, *.NAME for all below it, an address, and \
                     a network such as 10.7.0.0/16",
                    entry = quoted(&entry)
                ));
            }
        }
        if self.calls_back() && self.callback_secret_file.as_os_str().is_empty() {
            let why = "without a signature a receiver could not tell who calls";
            problems.push(format!("callback_allow is set and callback_secret_file is not: {why}"));
        }
        problems
    }

    /// Whether anybody may be called back.
    pub fn calls_back(&self) -> bool {
        !self.callback_allow.is_empty()
    }

    /// Whom, by name and by network.
    pub fn callback_hosts(&self) -> (Vec<String>, Vec<IpNet>) {
        let networks = self.callback_allow.iter().filter_map(|entry| read_network(entry));
        let names = self.callback_allow.iter().filter(|entry| read_network(entry).is_none());
        (names.cloned().collect(), networks.collect())
    }
}

fn is_name(entry: &str) -> bool {
    let name = entry.strip_prefix("*.").unwrap_or(entry).trim_end_matches('.');
    let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    name.split('.').all(good) && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::Callback;
    use crate::config::{ConfigError, load};

    fn loaded(toml: &str) -> Result<Callback, ConfigError> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table).map(|layered| layered.settings.callback)
    }

    #[test]
    fn names_and_networks_are_told_apart() {
        let toml = "callback_allow = ['ci.lab', '*.hooks.example', '10.7.0.0/16', '::1']\ncallback_secret_file = 's'";
        let settings = loaded(toml).unwrap();
        let (names, networks) = settings.callback_hosts();
        assert_eq!(names, ["ci.lab", "*.hooks.example"]);
        assert_eq!(
            networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.7.0.0/16", "::1/128"]
        );
        assert!(!loaded("").unwrap().calls_back());
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (toml, expected) in [
            ("callback_allow = ['ci']", "callback_secret_file is not"),
            (
                "callback_allow = ['*']\ncallback_secret_file = 's'",
                "callback_allow has \"*\"",
            ),
            (
                "callback_allow = ['https://ci']\ncallback_secret_file = 's'",
                "callback_allow has",
            ),
            (
                "callback_allow = ['10.0.0.0/40']\ncallback_secret_file = 's'",
                "callback_allow has",
            ),
            (
                "callback_allow = ['10.0.0']\ncallback_secret_file = 's'",
                "callback_allow has",
            ),
            ("callback_attempts = 0", "callback_attempts is 0"),
        ] {
            let message = loaded(toml).unwrap_err().to_string();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }
}
