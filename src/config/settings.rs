use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::auth_mode::AuthMode;
use super::{Limits, Listen};
use joulemark_experiment::access::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Human,
    Json,
}

/// Every option, as `config/default.toml` documents them; what is none never comes here (`layers`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub listen: Listen,
    pub database_url: String,
    /// Empty: beside the database.
    pub spool_dir: PathBuf,
    /// 0: for ever.
    pub retention_days: u32,
    /// 0: without bound.
    pub retention_bytes: u64,
    pub models_dir: PathBuf,
    /// Empty: beside this program.
    pub engine_dir: PathBuf,
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    pub rapl_root: PathBuf,
    /// Empty: search the usual places.
    pub nvml_lib: PathBuf,
    pub sample_interval_ms: u32,
    /// Empty: the host's name.
    pub node_name: String,
    pub node_label: Vec<String>,
    /// Empty: the usual places.
    pub lock_dir: PathBuf,
    pub lease_sec: u32,
    pub max_attempts: u32,
    pub load_timeout_sec: u32,
    pub stall_timeout_sec: u32,
    pub experiment_timeout_sec: u32,
    pub auth: AuthMode,
    pub trusted_proxy: Vec<String>,
    /// Empty: none.
    pub identity_header: String,
    pub identity_role: Role,
    pub share_prompts: bool,
    pub cors_origin: Vec<String>,
    pub hub_allow: Vec<String>,
    #[serde(flatten)]
    pub limits: Limits,
    pub callback_allow: Vec<String>,
    /// Empty: none.
    pub callback_secret_file: PathBuf,
    pub callback_http: bool,
    pub callback_retry_sec: u32,
    pub callback_attempts: u32,
    /// Empty: with a key only.
    pub metrics_from: Vec<String>,
    /// Empty: no traces.
    pub otlp_endpoint: String,
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
            ("lease_sec", self.lease_sec),
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
        check(
            self.node_name.chars().count() <= 200 && !self.node_name.chars().any(char::is_control),
            "node_name is over 200 characters or has control characters".to_owned(),
        );
        for label in &self.node_label {
            check(
                label
                    .split_once('=')
                    .is_some_and(|(name, value)| !name.is_empty() && !value.is_empty()),
                format!("node_label has {label:?}; accepted is NAME=VALUE"),
            );
        }
        problems.extend(self.access_problems());
        problems.extend(self.callback_problems());
        problems
    }

    pub fn node_labels(&self) -> BTreeMap<String, String> {
        let pairs = self.node_label.iter().filter_map(|label| label.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Where this node's ends of runs wait for the database; none for one in memory, which nothing outlives.
    pub fn spool_folder(&self, node: &str) -> Option<PathBuf> {
        if !self.spool_dir.as_os_str().is_empty() {
            return Some(self.spool_dir.clone());
        }
        match self.database_url.strip_prefix("sqlite:") {
            None => {
                let name = node.replace(
                    |character: char| !character.is_alphanumeric() && !".-_".contains(character),
                    "_",
                );
                Some(PathBuf::from(format!("joulemark-{name}.spool")))
            }
            Some(_) => self.sqlite_file().map(|file| PathBuf::from(format!("{file}.spool"))),
        }
    }

    /// Path of the SQLite database; none for one in memory and for Postgres.
    pub fn sqlite_file(&self) -> Option<&str> {
        let url = self.database_url.strip_prefix("sqlite:")?;
        let file = url.trim_start_matches("//").split('?').next().unwrap_or_default();
        (!file.is_empty() && !file.contains(":memory:")).then_some(file)
    }

    /// Where engines are looked for first.
    pub fn engine_folder(&self) -> Option<&Path> {
        (!self.engine_dir.as_os_str().is_empty()).then_some(self.engine_dir.as_path())
    }

    pub fn nvml_library(&self) -> Option<PathBuf> {
        (!self.nvml_lib.as_os_str().is_empty()).then(|| self.nvml_lib.clone())
    }
}
