//! Limits of one submitter: the general ones, and those that `user_limit` sets.

use super::limits::{Limits, unless_zero};
use joulemark_measurement::quoted;

/// Limits of one submitter; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// Maximum number of queued and running experiments.
    pub unfinished: Option<u64>,
    /// Maximum device-hours in seven days.
    pub device_hours: Option<u64>,
    /// Maximum energy in seven days.
    pub joules: Option<u64>,
}

/// One entry of `user_limit`.
struct Exception<'a> {
    name: &'a str,
    option: &'a str,
    value: u64,
}

const OPTIONS: [&str; 3] = [
    "max_unfinished_per_user",
    "max_device_hours_per_week",
    "max_joules_per_week",
];

impl Exception<'_> {
    /// Parses NAME:OPTION=VALUE. The name may contain colons.
    fn read(text: &str) -> Option<Exception<'_>> {
        let (name, limit) = text.rsplit_once(':')?;
        let (option, value) = limit.split_once('=')?;
        let is_good = !name.is_empty() && OPTIONS.contains(&option);
        let value = value.parse().ok().filter(|_| is_good)?;
        Some(Exception { name, option, value })
    }
}

impl Limits {
    /// Returns the entries of `user_limit` that are invalid or given twice.
    pub(super) fn user_limit_problems(&self) -> Vec<String> {
        let (mut problems, mut seen) = (Vec::new(), Vec::new());
        for text in &self.user_limit {
            match Exception::read(text) {
                None => problems.push(format!(
                    "user_limit has {}; accepted is NAME:OPTION=VALUE, where VALUE is a whole number and OPTION is one of {}, such as \
                     ada:max_joules_per_week=5000000",
                    quoted(text),
                    OPTIONS.join(", ")
                )),
                Some(Exception { name, option, .. }) if seen.contains(&(name, option)) => {
                    problems.push(format!(
                        "user_limit has {option} of {} twice; give it once",
                        quoted(name)
                    ));
                }
                Some(Exception { name, option, .. }) => seen.push((name, option)),
            }
        }
        problems
    }

    /// Returns the limits of a submitter.
    pub fn of_user(&self, name: &str) -> UserLimits {
        let exceptions = self.user_limit.iter().filter_map(|text| Exception::read(text));
        let own: Vec<_> = exceptions.filter(|exception| exception.name == name).collect();
        let limit = |option: &str, general: u64| {
            let own = own.iter().find(|exception| exception.option == option);
            unless_zero(own.map_or(general, |own| own.value))
        };
        UserLimits {
            unfinished: limit(OPTIONS[0], self.max_unfinished_per_user),
            device_hours: limit(OPTIONS[1], self.max_device_hours_per_week),
            joules: limit(OPTIONS[2], self.max_joules_per_week),
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::config::{ConfigError, load};

    fn loaded(toml: &str) -> Result<Limits, ConfigError> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table).map(|layered| layered.settings.limits)
    }

    #[test]
    fn a_submitters_own_limit_replaces_the_general_one_and_0_means_no_limit() {
        let limits = loaded(
            "max_unfinished_per_user = 10\nmax_device_hours_per_week = 5\nuser_limit = ['Ada L:max_unfinished_per_user=3',
             'a:b:max_joules_per_week=7', 'a:b:max_device_hours_per_week=0']",
        );
        let limits = limits.unwrap();
        let general = UserLimits {
            unfinished: Some(10),
            device_hours: Some(5),
            joules: None,
        };
        assert_eq!(limits.of_user("bob"), general);
        assert_eq!(limits.of_user("Ada L").unfinished, Some(3));
        assert_eq!(limits.of_user("Ada L").device_hours, Some(5));
        let of_both = UserLimits {
            device_hours: None,
            joules: Some(7),
            ..general
        };
        assert_eq!(limits.of_user("a:b"), of_both);
    }

    #[test]
    fn an_invalid_limit_is_rejected_with_what_is_accepted() {
        for wrong in [
            "ada",
            "ada:max_queued=1",
            ":max_joules_per_week=1",
            "ada:max_joules_per_week=-1",
            "ada:max_joules_per_week",
        ] {
            let message = loaded(&format!("user_limit = ['{wrong}']")).unwrap_err().to_string();
            assert!(message.contains("accepted is NAME:OPTION=VALUE"), "{wrong}: {message}");
        }
        let twice = "user_limit = ['a:max_joules_per_week=1', 'a:max_joules_per_week=2']";
        assert!(loaded(twice).unwrap_err().to_string().contains("twice"));
        for priority in [-1, 101] {
            let message = loaded(&format!("max_priority_submitter = {priority}")).unwrap_err();
            assert!(message.to_string().contains("max_priority_submitter is"), "{message}");
        }
    }
}
