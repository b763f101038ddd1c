use axum::http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::last_used::LastUsed;
use super::origin::TrustedProxies;
use super::rate::RateLimit;
use crate::config::Limits;
use joulemark_experiment::access::Role;

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
    /// Believed from a trusted proxy only.
    pub identity_header: Option<HeaderName>,
    /// What those named by it may do.
    pub identity_role: Role,
    pub share_prompts: bool,
    /// From where the metrics are read without a key.
    pub metrics_networks: Vec<IpNet>,
    /// Web origins other than the service's own whose pages may use the API.
    pub cors_origins: Vec<HeaderValue>,
    /// Hugging Face ids that may be fetched, `org/*` for all of an organisation; empty for all.
    pub hub_allow: Vec<String>,
    pub limits: Limits,
    pub rate_limit: RateLimit,
    pub last_used: LastUsed,
}

impl Access {
    /// Of a server without authentication or proxies.
    pub fn new(limits: Limits) -> Self {
        Self {
            authentication: Authentication::None,
            trusted_proxies: TrustedProxies::default(),
            identity_header: None,
            identity_role: Role::Submitter,
            share_prompts: false,
            metrics_networks: Vec::new(),
            cors_origins: Vec::new(),
            hub_allow: Vec::new(),
            rate_limit: RateLimit::per_minute(limits.rate_limit_per_minute),
            last_used: LastUsed::default(),
            limits,
        }
    }

    /// Whether the hub's `id` may be fetched, where the hub is allowed at all.
    pub fn allows_from_hub(&self, id: &str) -> bool {
        is_listed(&self.hub_allow, id)
    }
}

fn is_listed(list: &[String], id: &str) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix("/*") {
        Some(organisation) => id
            .split_once('/')
            .is_some_and(|(of, _)| of.eq_ignore_ascii_case(organisation)),
        None => pattern.eq_ignore_ascii_case(id),
    };
    list.is_empty() || list.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_what_is_on_it_and_an_empty_one_everything() {
        assert!(is_listed(&[], "any/thing"));
        let list = ["HuggingFaceTB/*", "Qwen/Qwen2.5-0.5B"].map(str::to_owned);
        for id in ["HuggingFaceTB/SmolLM2-135M", "huggingfacetb/x", "Qwen/Qwen2.5-0.5B"] {
            assert!(is_listed(&list, id), "{id}");
        }
        for id in [
            "Qwen/Qwen2.5-0.5B-evil",
            "Qwen/other",
            "HuggingFaceTB-evil/x",
            "HuggingFaceTB",
        ] {
            assert!(!is_listed(&list, id), "{id}");
        }
    }
}
