//! The admin's settings for access, and the state about callers while the server runs.

use axum::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use jiff::SignedDuration;

use super::last_used::LastUsed;
use super::named_roles::NamedRoles;
use super::origin::TrustedProxies;
use super::rate::RateLimit;
use super::watch::KeysInUse;
use crate::config::Limits;

/// How callers are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// No authentication: every program on this host may do everything.
    None,
    /// API keys, and names vouched for by a trusted proxy.
    Keys,
}

/// The access settings of the admin, and what the server records about callers while it runs.
#[derive(Debug)]
pub struct Access {
    pub authentication: Authentication,
    pub trusted_proxies: TrustedProxies,
    /// Start of links; `None` if it is taken from each request.
    pub public_base: Option<String>,
    /// Header with the user's name; read only from a trusted proxy.
    pub identity_header: Option<HeaderName>,
    /// Roles of the users named by that header.
    pub named_roles: NamedRoles,
    /// Every caller may read everybody's prompts.
    pub share_prompts: bool,
    /// Networks from which the metrics may be read without a key.
    pub metrics_networks: Vec<IpNet>,
    /// Web origins, besides the service's own, whose pages may use the API.
    pub cors_origins: Vec<HeaderValue>,
    /// Maximum size of a request body in bytes.
    pub max_body_bytes: usize,
    pub limits: Limits,
    pub rate_limit: RateLimit,
    /// Lifetime of a session; it ends earlier with its key.
    pub session_lifetime: SignedDuration,
    pub last_used: LastUsed,
    pub keys_in_use: KeysInUse,
}

impl Access {
    /// Returns the maximum share of a limited resource that one caller may hold, in percent. It is 100 without
    /// authentication, where callers cannot be distinguished.
    pub fn share_percent(&self) -> u32 {
        match self.authentication {
            Authentication::None => 100,
            Authentication::Keys => self.limits.max_share_percent,
        }
    }
}
