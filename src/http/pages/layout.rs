//! The frame around every page.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::assets;
use crate::http::access::{Authentication, Caller};
use crate::http::state::AppState;
use joulemark_experiment::access::Role;

/// Values that the frame around every page needs.
#[derive(Clone, Debug)]
pub struct Page {
    /// Relative URL of the service's root, such as `./` or `../`.
    pub root: String,
    /// First segment of the path, which the navigation highlights.
    pub section: String,
    /// Version in the URLs of the stylesheet and the script.
    pub assets: &'static str,
    /// Version of this program.
    pub version: &'static str,
    /// Authenticated name; `None` without authentication and before signing in.
    pub name: Option<String>,
    /// Role of the caller; `None` before signing in.
    pub role: Option<Role>,
    /// CSRF token for the forms; `None` when the caller has no session.
    pub csrf: Option<String>,
    /// Whether the server has authentication.
    pub has_keys: bool,
}

impl Page {
    /// Returns the frame of the page at `path`; `caller` is `None` before signing in.
    pub fn new(path: &str, caller: Option<&Caller>, has_keys: bool) -> Self {
        Self {
            root: root_of(path),
            section: path.split('/').nth(1).unwrap_or_default().to_owned(),
            assets: assets::version(),
            version: env!("CARGO_PKG_VERSION"),
            name: caller.and_then(Caller::name).map(str::to_owned),
            role: caller.map(Caller::role),
            csrf: caller.and_then(Caller::csrf_token).map(str::to_owned),
            has_keys,
        }
    }

    /// Returns whether the caller may submit and cancel experiments.
    pub fn may_submit(&self) -> bool {
        self.role.is_some_and(|role| role >= Role::Submitter)
    }

    /// Returns whether the page belongs to this entry of the navigation.
    pub fn is_in(&self, section: &str) -> bool {
        self.section == section
    }
}

impl FromRequestParts<AppState> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>();
        let has_keys = state.access.authentication == Authentication::Keys;
        Ok(Self::new(parts.uri.path(), caller, has_keys))
    }
}

/// Returns the relative URL of the root from `path`. It is relative because a proxy may add a prefix.
fn root_of(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        depth => "../".repeat(depth - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_the_root_is_relative() {
        for (path, root) in [
            ("/", "./"),
            ("/experiments", "./"),
            ("/experiments/x", "../"),
            ("/experiments/x/cancel", "../../"),
        ] {
            assert_eq!(root_of(path), root, "{path}");
        }
    }
}
