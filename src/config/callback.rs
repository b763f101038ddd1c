use ipnet::IpNet;

use super::Settings;
use super::access::read_network;

impl Settings {
    /// What does not go together, or cannot be read, of the options on callbacks.
    pub(super) fn callback_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for entry in &self.callback_allow {
            if read_network(entry).is_none() && !is_name(entry) {
                problems.push(format!(
                    "callback_allow has {entry:?}; accepted are a host's name, *.NAME for all below it, an address, and \
                     a network such as 10.7.0.0/16"
                ));
            }
        }
        if self.calls_back() && self.callback_secret_file.as_os_str().is_empty() {
            let why = "without a signature a receiver could not tell who calls";
            problems.push(format!("callback_allow is set and callback_secret_file is not: {why}"));
        }
        for (name, value) in [
            ("callback_retry_sec", self.callback_retry_sec),
            ("callback_attempts", self.callback_attempts),
        ] {
            if value == 0 {
                problems.push(format!("{name} is 0; accepted is 1 or more"));
            }
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

    use crate::config::load;

    fn loaded(toml: &str) -> Result<crate::config::Settings, String> {
        let table: Table = toml.parse().unwrap();
        let layered = load(None, |_| None, table);
        layered
            .map(|layered| layered.settings)
            .map_err(|error| error.to_string())
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
            let message = loaded(toml).unwrap_err();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }
}
