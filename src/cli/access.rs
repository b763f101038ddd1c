use anyhow::Context as _;

use crate::config::{AuthMode, Settings};
use crate::http::{Access, Authentication, TrustedProxies};

/// The settings on access as the API goes by them.
pub fn build(settings: &Settings) -> anyhow::Result<Access> {
    let header = Some(&settings.identity_header).filter(|name| !name.is_empty());
    let identity_header = header.map(|name| name.to_ascii_lowercase().parse());
    let cors_origins = settings.cors_origin.iter().map(|origin| origin.parse());
    Ok(Access {
        authentication: match settings.auth {
            AuthMode::None => Authentication::None,
            AuthMode::Keys => Authentication::Keys,
        },
        trusted_proxies: TrustedProxies {
            networks: settings.trusted_networks(),
            socket: settings.trusts_socket(),
        },
        identity_header: identity_header
            .transpose()
            .context("identity_header is no header's name")?,
        identity_role: settings.identity_role,
        share_prompts: settings.share_prompts,
        cors_origins: cors_origins
            .collect::<Result<_, _>>()
            .context("cors_origin is no header's value")?,
        metrics_networks: settings.metrics_networks(),
        ..Access::new(settings.limits.clone())
    })
}
