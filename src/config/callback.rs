use std::path::PathBuf;

use super::option::section;
use crate::callback::Entry;

/// Well below the lease on a delivery, after which another server makes it again.
const MAX_TIMEOUT_SEC: u32 = 60;

section! {
    /// Who may be told over HTTP of an experiment's end.
    pub struct Callback with CallbackFlags {
        /// A host (*.NAME for all below it), address or network that a callback_url may name, with :PORT behind it unless
        /// that is 443; may be given several times [default: none].
        ///
        /// Such as "ci.lab.example", "*.lab.example:8443", 10.7.0.0/16 and `[fd00:7::1]:9000`; :* is all ports, and without
        /// TLS the port that goes without saying is 80. A URL must name what is listed: a name, or an address of a network.
        /// A name's addresses must be public, or in one of the networks; private, loopback, link-local and the clouds'
        /// metadata addresses are called only where a network here holds them. Empty: nobody is called back.
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

        /// Seconds that a try at a callback may take, up to 60.
        ///
        /// A try that no answer comes of takes all of them, whatever it failed of: a submitter could tell by the time which
        /// hosts and ports there are.
        callback_timeout_sec: u32 = 15, at least 1;

        /// How often a callback is tried.
        callback_attempts: u32 = 12, at least 1;
    }
}

impl Callback {
    /// What does not go together, or cannot be read. Each message names the option and what is accepted.
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
            let why = "without a signature a receiver could not tell who calls";
            problems.push(format!("callback_allow is set and callback_secret_file is not: {why}"));
        }
        problems
    }

    /// Whether anybody may be called back.
    pub fn calls_back(&self) -> bool {
        !self.callback_allow.is_empty()
    }

    /// Returns whom: those that can be read, which all can once `problems` found nothing.
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
    fn names_and_networks_are_told_apart() {
        let toml = "callback_allow = ['ci.lab', '*.hooks.example', '10.7.0.0/16', '::1']\ncallback_secret_file = 's'";
        let settings = loaded(toml).unwrap();
        let expected = ["ci.lab", "*.hooks.example", "10.7.0.0/16", "::1/128"].map(|entry| entry.parse().unwrap());
        assert_eq!(settings.entries(), expected);
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
