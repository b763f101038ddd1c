use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::assets;
use crate::http::access::{Authentication, Caller};
use crate::http::state::AppState;
use joulemark_experiment::access::Role;

/// What every view's frame shows: where it is, and for whom.
#[derive(Clone, Debug)]
pub struct Page {
    /// The way from this view to the service's first one, such as `./` or `../`.
    pub root: String,
    /// The first part of the path, by which the navigation marks where one is.
    pub section: String,
    /// Names the stylesheet and the script as they are in this program.
    pub assets: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// The authenticated name; `None` on a server without authentication, and before signing in.
    pub name: Option<String>,
    /// `None` before signing in.
    pub role: Option<Role>,
    /// What a form of this session must send along; `None` of who came without a session.
    pub csrf: Option<String>,
    /// Whether the server tells callers apart.
    pub has_keys: bool,
}

impl Page {
    /// Returns the frame of the view at `path`; `caller` is `None` before signing in.
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

    /// Tells whether the caller may submit and cancel.
    pub fn may_submit(&self) -> bool {
        self.role.is_some_and(|role| role >= Role::Submitter)
    }

    /// Tells whether this view belongs to a part of the navigation.
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

/// Returns the way from `path` to the root, which is no address: a proxy may have cut a prefix off.
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
    fn the_way_to_the_root_is_relative() {
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
