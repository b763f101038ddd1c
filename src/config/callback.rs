//! Options on callbacks.

use std::path::PathBuf;

use super::option::section;
use crate::callback::Entry;

/// Maximum timeout, well below the lease on a delivery, after which another server repeats it.
const MAX_TIMEOUT_SEC: u32 = 60;

section! {
    /// Options on callbacks, which report the end of an experiment over HTTP.
    pub struct Callback with CallbackFlags {
        /// Host (*.NAME for all its subdomains), address or network that a callback_url may name, followed by :PORT
        /// unless that is 443; may be given several times [default: none].
        ///
        /// Examples: "ci.lab.example", "*.lab.example:8443", 10.7.0.0/16, `[fd00:7::1]:9000`. :* allows all ports.
        /// Without TLS the default port is 80. The host of a URL must be a listed name, or an address in a listed
        /// network. A listed name may resolve to public addresses and to addresses in listed networks, but not to other
        /// private, loopback or link-local addresses or to a cloud's metadata address. If empty, no callbacks are sent.
        callback_allow: Vec<String> = [];

        /// File with the secret that signs callbacks, at least 16 bytes.
        ///
        /// The signature is HMAC-SHA256. Required if callback_allow is set.
        callback_secret_file: PathBuf = "";

        /// Also allow callback URLs without TLS (http).
        ///
        /// Otherwise they must be https.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        callback_http: bool = false;

        /// Seconds before the first retry of a failed callback.
        ///
        /// The pause triples with each further retry, up to an hour.
        callback_retry_sec: u32 = 10, at least 1;

        /// Timeout of a callback in seconds, up to 60.
        ///
        /// A callback without a response always takes this long, whatever the cause, so that its duration does not
        /// reveal which hosts and ports exist.
        callback_timeout_sec: u32 = 15, at least 1;

        /// Maximum number of attempts to send a callback.
        callback_attempts: u32 = 12, at least 1;
    }
}

impl Callback {
    /// Returns the problems of the options on callbacks. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for entry in &self.callback_allow {
            if let Err(error) = entry.parse::<Entry>() {
                problems.push(format!("callback_allow has {error}"));
            }
        }
        if self.callback_timeout_sec > MAX_TIMEOUT_SEC {
            let given = self.callback_timeout_sec;
            problems.push(format!(
                "callback_timeout_sec is {given}; accepted are 1 to {MAX_TIMEOUT_SEC}"
            ));
        }
        if self.calls_back() && self.callback_secret_file.as_os_str().is_empty() {
            let why = "without a signature a receiver cannot verify the sender";
            problems.push(format!("callback_allow is set and callback_secret_file is not: {why}"));
        }
        problems
    }

    /// Returns whether callbacks are sent.
    pub fn calls_back(&self) -> bool {
        !self.callback_allow.is_empty()
    }

    /// Returns the allowed receivers. Invalid entries are skipped; there are none once `problems` is empty.
    pub fn entries(&self) -> Vec<Entry> {
        self.callback_allow
            .iter()
            .filter_map(|entry| entry.parse().ok())
            .collect()
    }
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
    fn names_and_networks_are_distinguished() {
        let toml = "callback_allow = ['ci.lab', '*.hooks.example', '10.7.0.0/16', '::1']\ncallback_secret_file = 's'";
        let settings = loaded(toml).unwrap();
        let expected = ["ci.lab", "*.hooks.example", "10.7.0.0/16", "::1/128"].map(|entry| entry.parse().unwrap());
        assert_eq!(settings.entries(), expected);
        assert!(!loaded("").unwrap().calls_back());
    }

    #[test]
    fn invalid_options_are_reported() {
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
            (
                "callback_timeout_sec = 61",
                "callback_timeout_sec is 61; accepted are 1 to 60",
            ),
            (
                "callback_allow = ['ci:0']\ncallback_secret_file = 's'",
                "callback_allow has \"ci:0\"",
            ),
        ] {
            let message = loaded(toml).unwrap_err().to_string();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }
}
