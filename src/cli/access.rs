//! Builds the API's access rules from the settings.

use anyhow::Context as _;
use axum::http::{HeaderName, header::InvalidHeaderName};
use jiff::SignedDuration;

use crate::config::{AuthMode, Settings};
use crate::http::{Access, Authentication, KeysInUse, LastUsed, NamedRoles, RateLimit, TrustedProxies};

/// Returns the access rules that the API applies.
pub fn build(settings: &Settings) -> anyhow::Result<Access> {
    let cors_origins = settings.access.cors_origin.iter().map(|origin| origin.parse());
    Ok(Access {
        authentication: match settings.access.auth {
            AuthMode::None => Authentication::None,
            AuthMode::Keys => Authentication::Keys,
        },
        trusted_proxies: TrustedProxies {
            networks: settings.access.trusted_networks(),
            socket: settings.access.trusts_socket(),
        },
        public_base: settings.access.public_base(),
        identity_header: header(&settings.access.identity_header)
            .context("identity_header is not the name of a header")?,
        named_roles: NamedRoles {
            other: settings.access.identity_role,
            of_users: settings.access.user_roles(),
            groups_header: header(&settings.access.identity_groups_header)
                .context("identity_groups_header is not the name of a header")?,
            of_groups: settings.access.group_roles(),
        },
        share_prompts: settings.access.share_prompts,
        cors_origins: cors_origins
            .collect::<Result<_, _>>()
            .context("cors_origin is not a valid header value")?,
        metrics_networks: settings.access.metrics_networks(),
        max_body_bytes: settings.access.max_body_bytes,
        limits: settings.limits.clone(),
        rate_limit: RateLimit::per_minute(settings.limits.rate_limit_per_minute),
        session_lifetime: SignedDuration::from_hours(i64::from(settings.access.session_hours)),
        last_used: LastUsed::default(),
        keys_in_use: KeysInUse::default(),
    })
}

/// Parses the name of a header; returns `None` for an empty name.
fn header(name: &str) -> Result<Option<HeaderName>, InvalidHeaderName> {
    let name = Some(name).filter(|name| !name.is_empty());
    name.map(|name| name.to_ascii_lowercase().parse()).transpose()
}
