use axum::{extract::FromRequestParts, http::request::Parts};

use super::origin::Origin;
use crate::http::problem::Problem;
use joulemark_experiment::access::{Actor, CsrfToken, KeyId, Role, SessionId, SessionToken};

/// A session that somebody came with.
#[derive(Clone, Debug)]
struct SignedIn {
    id: SessionId,
    csrf: CsrfToken,
}

/// Who asks, as far as the service knows. Put into the request by `authenticate`, and by nothing else.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Null on a server without authentication, where everybody may do everything.
    name: Option<String>,
    key_id: Option<KeyId>,
    session: Option<SignedIn>,
    role: Role,
    address: String,
    sees_all_prompts: bool,
}

impl Caller {
    /// On a server without authentication.
    pub fn anybody(origin: &Origin) -> Self {
        Self {
            name: None,
            key_id: None,
            session: None,
            role: Role::Admin,
            address: origin.address.to_string(),
            sees_all_prompts: true,
        }
    }

    pub fn named(name: String, key_id: Option<KeyId>, role: Role, origin: &Origin, share_prompts: bool) -> Self {
        Self {
            name: Some(name),
            key_id,
            session: None,
            role,
            address: origin.address.to_string(),
            sees_all_prompts: share_prompts || role == Role::Admin,
        }
    }

    /// Returns the same caller as one who came with a session of their key.
    pub fn signed_in(self, token: &SessionToken) -> Self {
        let session = SignedIn {
            id: token.id().clone(),
            csrf: token.csrf(),
        };
        Self {
            session: Some(session),
            ..self
        }
    }

    /// Returns the name that a key or a proxy gives them; `None` on a server without authentication.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the session that they came with; `None` of who came otherwise.
    pub fn session_id(&self) -> Option<&SessionId> {
        self.session.as_ref().map(|session| &session.id)
    }

    /// Returns what the forms of their pages carry; `None` of who came without a session, of whom no token is asked.
    pub fn csrf_token(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.csrf.as_str())
    }

    /// Returns the key that they came with, or signed in with; `None` of who came without one.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.key_id.as_ref()
    }

    /// What the audit log says of them.
    pub fn actor(&self) -> Actor {
        Actor {
            name: self.name.clone(),
            key_id: self.key_id.clone(),
            address: Some(self.address.clone()),
        }
    }

    /// Whose requests are counted together: a key's own, or those of a name that a proxy vouches for.
    pub fn counted_as(&self) -> Option<String> {
        match (&self.key_id, &self.name) {
            (Some(key), _) => Some(format!("key {key}")),
            (None, Some(name)) => Some(format!("name {name}")),
            (None, None) => None,
        }
    }

    /// Returns whose share it is what a request holds. On a server without authentication all are one.
    pub fn held_as(&self) -> String {
        self.counted_as().unwrap_or_else(|| "anybody".to_owned())
    }

    pub fn may_change(&self, submitter: Option<&str>) -> bool {
        self.role == Role::Admin || (self.role == Role::Submitter && self.is(submitter))
    }

    pub fn may_see_prompts_of(&self, submitter: Option<&str>) -> bool {
        self.sees_all_prompts || self.is(submitter)
    }

    /// What nobody submitted is nobody's.
    fn is(&self, submitter: Option<&str>) -> bool {
        submitter.is_some() && self.name.as_deref() == submitter
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only on a public route, which has no business with a caller.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, role: Role, share: bool) -> Caller {
        let origin = Origin::direct("192.0.2.1".parse().unwrap());
        Caller::named(name.to_owned(), None, role, &origin, share)
    }

    #[test]
    fn a_submitter_cancels_their_own_and_an_admin_everything() {
        let submitter = caller("ada", Role::Submitter, false);
        assert!(submitter.may_change(Some("ada")));
        assert!(!submitter.may_change(Some("bob")) && !submitter.may_change(None));
        assert!(!caller("ada", Role::Reader, true).may_change(Some("ada")));
        assert!(caller("eve", Role::Admin, false).may_change(None));
        assert!(Caller::anybody(&Origin::direct("127.0.0.1".parse().unwrap())).may_change(Some("ada")));
    }

    #[test]
    fn prompts_are_ones_own_the_admins_or_shared() {
        for role in [Role::Reader, Role::Submitter] {
            assert!(caller("ada", role, false).may_see_prompts_of(Some("ada")));
            assert!(!caller("ada", role, false).may_see_prompts_of(Some("bob")));
            assert!(!caller("ada", role, false).may_see_prompts_of(None));
            assert!(caller("ada", role, true).may_see_prompts_of(Some("bob")));
        }
        assert!(caller("eve", Role::Admin, false).may_see_prompts_of(Some("bob")));
    }
}
