use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::AuthMode;
use crate::access::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Human,
    Json,
}

/// Every option, as `config/default.toml` documents them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub listen: SocketAddr,
    pub database_url: String,
    pub models_dir: PathBuf,
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    pub rapl_root: PathBuf,
    /// Empty: search the usual places.
    pub nvml_lib: PathBuf,
    pub sample_interval_ms: u32,
    pub max_attempts: u32,
    pub load_timeout_sec: u32,
    pub stall_timeout_sec: u32,
    pub experiment_timeout_sec: u32,
    pub max_body_bytes: usize,
    pub auth: AuthMode,
    pub trusted_proxy: Vec<String>,
    /// Empty: none.
    pub identity_header: String,
    pub identity_role: Role,
    pub share_prompts: bool,
    pub cors_origin: Vec<String>,
    pub hub_allow: Vec<String>,
    pub max_header_bytes: usize,
    pub max_uri_bytes: usize,
    pub header_timeout_sec: u32,
    pub body_timeout_sec: u32,
    pub request_timeout_sec: u32,
    pub max_connections: u32,
    pub max_concurrent_requests: usize,
    pub rate_limit_per_minute: u32,
    pub max_queued: u64,
    pub max_unfinished_per_user: u64,
    pub max_prompts: u32,
    pub max_total_tokens: u64,
    pub log_format: LogFormat,
    pub log: String,
}

impl Settings {
    /// What the types cannot say. Each message names the option and what is accepted.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, message: String| {
            if !good {
                problems.push(message);
            }
        };
        let interval = self.sample_interval_ms;
        check(
            (5..=10_000).contains(&interval),
            format!("sample_interval_ms is {interval}; accepted are 5 to 10000"),
        );
        for (name, value) in [
            ("max_attempts", self.max_attempts),
            ("load_timeout_sec", self.load_timeout_sec),
            ("stall_timeout_sec", self.stall_timeout_sec),
            ("experiment_timeout_sec", self.experiment_timeout_sec),
        ] {
            check(value > 0, format!("{name} is 0; accepted is 1 or more"));
        }
        let url = &self.database_url;
        let known = ["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        check(
            known,
            "database_url is neither sqlite://PATH nor postgres://…".to_owned(),
        );
        problems.extend(self.access_problems());
        problems
    }

    pub fn nvml_library(&self) -> Option<PathBuf> {
        (!self.nvml_lib.as_os_str().is_empty()).then(|| self.nvml_lib.clone())
    }
}
