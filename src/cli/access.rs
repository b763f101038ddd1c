use anyhow::Context as _;

use crate::config::{AuthMode, Settings};
use crate::http::{Access, Authentication, Limits};

/// The settings on access as the API goes by them.
pub fn of(settings: &Settings) -> anyhow::Result<Access> {
    let limits = Limits {
        max_header_bytes: settings.max_header_bytes,
        max_uri_bytes: settings.max_uri_bytes,
        header_timeout_sec: settings.header_timeout_sec,
        body_timeout_sec: settings.body_timeout_sec,
        request_timeout_sec: settings.request_timeout_sec,
        max_connections: settings.max_connections,
        max_concurrent_requests: settings.max_concurrent_requests,
        rate_limit_per_minute: settings.rate_limit_per_minute,
        max_queued: settings.max_queued,
        max_unfinished_per_user: settings.max_unfinished_per_user,
        max_prompts: settings.max_prompts,
        max_total_tokens: settings.max_total_tokens,
    };
    let header = Some(&settings.identity_header).filter(|name| !name.is_empty());
    let identity_header = header.map(|name| name.to_ascii_lowercase().parse());
    let cors_origins = settings.cors_origin.iter().map(|origin| origin.parse());
    Ok(Access {
        authentication: match settings.auth {
            AuthMode::None => Authentication::None,
            AuthMode::Keys => Authentication::Keys,
        },
        trusted_proxies: settings.trusted_networks(),
        identity_header: identity_header
            .transpose()
            .context("identity_header is no header's name")?,
        identity_role: settings.identity_role,
        share_prompts: settings.share_prompts,
        cors_origins: cors_origins
            .collect::<Result<_, _>>()
            .context("cors_origin is no header's value")?,
        hub_allow: settings.hub_allow.clone(),
        ..Access::new(limits)
    })
}
