use anyhow::Context as _;

use crate::config::{AuthMode, Settings};
use crate::http::{Access, Authentication, KeysInUse, LastUsed, RateLimit, TrustedProxies};

/// The settings on access as the API goes by them.
pub fn build(settings: &Settings) -> anyhow::Result<Access> {
    let header = Some(&settings.access.identity_header).filter(|name| !name.is_empty());
    let identity_header = header.map(|name| name.to_ascii_lowercase().parse());
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
        identity_header: identity_header
            .transpose()
            .context("identity_header is no header's name")?,
        identity_role: settings.access.identity_role,
        share_prompts: settings.access.share_prompts,
        cors_origins: cors_origins
            .collect::<Result<_, _>>()
            .context("cors_origin is no header's value")?,
        metrics_networks: settings.access.metrics_networks(),
        max_body_bytes: settings.access.max_body_bytes,
        limits: settings.limits.clone(),
        rate_limit: RateLimit::per_minute(settings.limits.rate_limit_per_minute),
        last_used: LastUsed::default(),
        keys_in_use: KeysInUse::default(),
    })
}
