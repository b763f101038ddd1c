//! Roles of users whom a trusted proxy names, by user and by group.

use std::collections::BTreeMap;

use super::access::Access;
use joulemark_experiment::access::Role;
use joulemark_measurement::quoted;

impl Access {
    /// Returns the problems of the options on roles.
    pub(super) fn role_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (option, items) in [("user_role", &self.user_role), ("group_role", &self.group_role)] {
            let mut seen = Vec::new();
            for item in items {
                match read(item) {
                    None => problems.push(format!(
                        "{option} has {}; accepted is NAME=ROLE, where the role is reader, submitter or admin",
                        quoted(item)
                    )),
                    Some((name, _)) if seen.contains(&name) => {
                        problems.push(format!("{option} has {} twice; give each name one role", quoted(name)));
                    }
                    Some((name, _)) => seen.push(name),
                }
            }
            if !items.is_empty() && self.identity_header.is_empty() {
                problems.push(format!(
                    "{option} needs identity_header, in which the proxy names users; keys have roles of their own"
                ));
            }
        }
        if !self.group_role.is_empty() && self.identity_groups_header.is_empty() {
            problems.push("group_role needs identity_groups_header, in which the proxy names groups".to_owned());
        }
        if !self.identity_groups_header.is_empty() && self.identity_header.is_empty() {
            problems.push("identity_groups_header needs identity_header, which names the user".to_owned());
        }
        if !self.identity_groups_header.is_empty()
            && self.identity_groups_header.eq_ignore_ascii_case(&self.identity_header)
        {
            problems.push("identity_groups_header is the same as identity_header; accepted is another".to_owned());
        }
        problems
    }

    /// Returns the roles of users, by name.
    pub fn user_roles(&self) -> BTreeMap<String, Role> {
        roles(&self.user_role)
    }

    /// Returns the roles of groups, by name.
    pub fn group_roles(&self) -> BTreeMap<String, Role> {
        roles(&self.group_role)
    }
}

fn roles(items: &[String]) -> BTreeMap<String, Role> {
    let items = items.iter().filter_map(|item| read(item));
    items.map(|(name, role)| (name.to_owned(), role)).collect()
}

/// Parses NAME=ROLE. The name may contain equals signs.
fn read(item: &str) -> Option<(&str, Role)> {
    let (name, role) = item.rsplit_once('=')?;
    let role = role.parse().ok()?;
    (!name.is_empty()).then_some((name, role))
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::config::{ConfigError, load};

    const BEHIND: &str = "auth = 'keys'\ntrusted_proxy = ['::1']\nidentity_header = 'X-User'\n";

    fn loaded(toml: &str) -> Result<Access, ConfigError> {
        let table: Table = toml.parse().unwrap();
        load(None, |_| None, table).map(|layered| layered.settings.access)
    }

    #[test]
    fn roles_are_parsed_by_user_and_by_group() {
        let toml = format!(
            "{BEHIND}identity_groups_header = 'X-Groups'\nuser_role = ['ada=admin', 'a=b=reader']\n\
             group_role = ['lab members=submitter']"
        );
        let access = loaded(&toml).unwrap();
        assert_eq!(access.user_roles()["a=b"], Role::Reader);
        assert_eq!(access.user_roles()["ada"], Role::Admin);
        assert_eq!(access.group_roles()["lab members"], Role::Submitter);
    }

    #[test]
    fn roles_without_effect_and_invalid_roles_are_rejected() {
        for (toml, expected) in [
            ("user_role = ['ada=root']", "accepted is NAME=ROLE"),
            ("user_role = ['=admin']", "accepted is NAME=ROLE"),
            ("group_role = ['lab']", "accepted is NAME=ROLE"),
            ("user_role = ['a=admin', 'a=reader']", "has \"a\" twice"),
            ("group_role = ['lab=admin']", "needs identity_groups_header"),
            ("identity_groups_header = 'x-user'", "the same as identity_header"),
            ("identity_groups_header = 'a b'", "identity_groups_header is \"a b\""),
        ] {
            let message = loaded(&format!("{BEHIND}{toml}")).unwrap_err().to_string();
            assert!(message.contains(expected), "{toml}: {message}");
        }
        for (toml, expected) in [
            (
                "auth = 'keys'\nuser_role = ['ada=admin']",
                "user_role needs identity_header",
            ),
            (
                "auth = 'keys'\nidentity_groups_header = 'X-Groups'",
                "needs identity_header",
            ),
        ] {
            let message = loaded(toml).unwrap_err().to_string();
            assert!(message.contains(expected), "{toml}: {message}");
        }
    }
}
