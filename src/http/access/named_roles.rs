//! The roles of users whom a trusted proxy names.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};

use crate::http::problem::Problem;
use joulemark_experiment::access::Role;

/// The admin's assignment of roles to users named by a trusted proxy.
#[derive(Clone, Debug)]
pub struct NamedRoles {
    /// Role of a user without an entry, none of whose groups has one.
    pub other: Role,
    pub of_users: BTreeMap<String, Role>,
    /// Header in which the proxy lists the user's groups; `None` if it lists none.
    pub groups_header: Option<HeaderName>,
    pub of_groups: BTreeMap<String, Role>,
}

impl NamedRoles {
    /// Returns the role of a user whom a trusted proxy named in these headers: the user's own role, or else the highest
    /// role of their groups.
    ///
    /// # Errors
    /// Returns 400 if the groups are not valid UTF-8. The caller of this function checks that the header occurs once.
    pub fn role_of(&self, name: &str, headers: &HeaderMap) -> Result<Role, Problem> {
        if let Some(role) = self.of_users.get(name) {
            return Ok(*role);
        }
        let header = self.groups_header.as_ref();
        let Some((header, value)) = header.and_then(|header| Some((header, headers.get(header)?))) else {
            return Ok(self.other);
        };
        let groups = std::str::from_utf8(value.as_bytes());
        let groups =
            groups.map_err(|_| Problem::bad_header(header, "is not valid UTF-8; accepted are names in UTF-8"))?;
        let roles = groups.split(',').filter_map(|group| self.of_groups.get(group.trim()));
        Ok(roles.max().copied().unwrap_or(self.other))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const GROUPS: HeaderName = HeaderName::from_static("x-remote-groups");

    fn roles() -> NamedRoles {
        let map = |pairs: &[(&str, Role)]| pairs.iter().map(|&(name, role)| (name.to_owned(), role)).collect();
        NamedRoles {
            other: Role::Reader,
            of_users: map(&[("root", Role::Admin), ("intern", Role::Reader)]),
            groups_header: Some(GROUPS),
            of_groups: map(&[("lab", Role::Submitter), ("ops", Role::Admin), ("guests", Role::Reader)]),
        }
    }

    fn role_of(roles: &NamedRoles, name: &str, groups: &[u8]) -> Result<Role, Problem> {
        let headers = HeaderMap::from_iter([(GROUPS, HeaderValue::from_bytes(groups).unwrap())]);
        roles.role_of(name, &headers)
    }

    #[test]
    fn a_users_own_role_precedes_that_of_groups_and_the_general_one() {
        let roles = roles();
        for (name, groups, expected) in [
            ("ada", "lab", Role::Submitter),
            ("ada", "guests, lab ,nobody", Role::Submitter),
            ("ada", "lab,ops", Role::Admin),
            ("ada", "nobody", Role::Reader),
            ("ada", "", Role::Reader),
            ("ada", "Lab", Role::Reader),
            ("ada", "lab=admin;ops", Role::Reader),
            ("intern", "ops", Role::Reader),
            ("root", "guests", Role::Admin),
        ] {
            assert_eq!(
                role_of(&roles, name, groups.as_bytes()),
                Ok(expected),
                "{name} of {groups:?}"
            );
        }
        assert_eq!(roles.role_of("ada", &HeaderMap::new()), Ok(Role::Reader));
        assert_eq!(role_of(&roles, "ada", b"lab,\xff").unwrap_err().status, 400);
        let unnamed = NamedRoles {
            groups_header: None,
            ..roles
        };
        assert_eq!(role_of(&unnamed, "ada", b"ops"), Ok(Role::Reader), "no header is named");
    }
}
