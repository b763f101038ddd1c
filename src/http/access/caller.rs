//! The caller of a request: name, role, and what the two allow.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::origin::Origin;
use crate::http::problem::Problem;
use joulemark_experiment::access::{Actor, CsrfToken, KeyId, Role, SessionId, SessionToken};

/// The session that a request was made with.
#[derive(Clone, Debug)]
struct SignedIn {
    id: SessionId,
    csrf: CsrfToken,
}

/// The caller of a request. Only `authenticate` creates one.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None` on a server without authentication, where everybody may do everything.
    name: Option<String>,
    key_id: Option<KeyId>,
    session: Option<SignedIn>,
    role: Role,
    address: String,
    sees_all_prompts: bool,
}

impl Caller {
    /// Returns the caller on a server without authentication, who may do everything.
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

    /// Returns the caller with a name from an API key or a trusted proxy.
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

    /// Returns the same caller, signed in with a session of their key.
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

    /// Returns the name given by a key or a proxy; `None` on a server without authentication.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the caller's role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the session that the request was made with; `None` without one.
    pub fn session_id(&self) -> Option<&SessionId> {
        self.session.as_ref().map(|session| &session.id)
    }

    /// Returns the token that the forms of this session must contain; `None` without a session, where no token is
    /// required.
    pub fn csrf_token(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.csrf.as_str())
    }

    /// Returns the key of the request or of its session; `None` for a caller without a key.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.key_id.as_ref()
    }

    /// Returns the caller as the audit log records it.
    pub fn actor(&self) -> Actor {
        Actor {
            name: self.name.clone(),
            key_id: self.key_id.clone(),
            address: Some(self.address.clone()),
        }
    }

    /// Returns the name under which requests are counted for the rate limit: the key's id, or the name that a proxy
    /// vouches for. `None` on a server without authentication.
    pub fn counted_as(&self) -> Option<String> {
        match (&self.key_id, &self.name) {
            (Some(key), _) => Some(format!("key {key}")),
            (None, Some(name)) => Some(format!("name {name}")),
            (None, None) => None,
        }
    }

    /// Returns the name under which the caller holds permits. Without authentication all callers share one name.
    pub fn held_as(&self) -> String {
        self.counted_as().unwrap_or_else(|| "anybody".to_owned())
    }

    /// Returns whether the caller may cancel or relabel an experiment of this submitter.
    pub fn may_change(&self, submitter: Option<&str>) -> bool {
        self.role == Role::Admin || (self.role == Role::Submitter && self.is(submitter))
    }

    /// Returns whether the caller may read the prompts of an experiment of this submitter.
    pub fn may_see_prompts_of(&self, submitter: Option<&str>) -> bool {
        self.sees_all_prompts || self.is(submitter)
    }

    /// Returns whether the caller is this submitter; `false` for an experiment without a submitter.
    fn is(&self, submitter: Option<&str>) -> bool {
        submitter.is_some() && self.name.as_deref() == submitter
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only on a public route, whose handlers take no caller.
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
