use axum::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use jiff::SignedDuration;

use super::last_used::LastUsed;
use super::named_roles::NamedRoles;
use super::origin::TrustedProxies;
use super::rate::RateLimit;
use super::watch::KeysInUse;
use crate::config::Limits;

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Everybody on this host may do everything.
    None,
    /// API keys, and names that a trusted proxy vouches for.
    Keys,
}

/// What the admin decided on access, and what is known of callers while the server runs.
#[derive(Debug)]
pub struct Access {
    pub authentication: Authentication,
    pub trusted_proxies: TrustedProxies,
    /// What links begin with; `None` where each request says it.
    pub public_base: Option<String>,
    /// Believed from a trusted proxy only.
    pub identity_header: Option<HeaderName>,
    /// What those named by it may do.
    pub named_roles: NamedRoles,
    pub share_prompts: bool,
    /// From where the metrics are read without a key.
    pub metrics_networks: Vec<IpNet>,
    /// Web origins other than the service's own whose pages may use the API.
    pub cors_origins: Vec<HeaderValue>,
    /// Largest accepted request body.
    pub max_body_bytes: usize,
    pub limits: Limits,
    pub rate_limit: RateLimit,
    /// How long a session lasts, unless its key ends before.
    pub session_lifetime: SignedDuration,
    pub last_used: LastUsed,
    pub keys_in_use: KeysInUse,
}

impl Access {
    /// Returns how much of what runs out one caller may have, in percent. Without authentication nobody can be told from
    /// anybody.
    pub fn share_percent(&self) -> u32 {
        match self.authentication {
            Authentication::None => 100,
            Authentication::Keys => self.limits.max_share_percent,
        }
    }
}
