use serde::{Deserialize, Serialize};

/// How much of everything a request, a caller and all together may have, as `default.toml` explains it; 0 is no limit
/// where it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub max_body_bytes: usize,
    pub max_header_bytes: usize,
    pub max_uri_bytes: usize,
    pub header_timeout_sec: u32,
    pub body_timeout_sec: u32,
    pub request_timeout_sec: u32,
    pub max_connections: u32,
    pub max_concurrent_requests: usize,
    pub max_concurrent_exports: usize,
    pub max_streams: u32,
    pub rate_limit_per_minute: u32,
    pub max_queued: u64,
    pub max_unfinished_per_user: u64,
    pub max_prompts: u32,
    pub max_total_tokens: u64,
}

impl Limits {
    /// Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let least = [
            ("max_header_bytes", self.max_header_bytes, 1024),
            ("max_uri_bytes", self.max_uri_bytes, 256),
            ("max_concurrent_requests", self.max_concurrent_requests, 1),
            ("max_concurrent_exports", self.max_concurrent_exports, 1),
            ("max_streams", self.max_streams as usize, 1),
            ("max_connections", self.max_connections as usize, 1),
            ("header_timeout_sec", self.header_timeout_sec as usize, 1),
            ("body_timeout_sec", self.body_timeout_sec as usize, 1),
            ("request_timeout_sec", self.request_timeout_sec as usize, 1),
        ];
        let too_low = least.into_iter().filter(|(_, value, least)| value < least);
        too_low
            .map(|(name, value, least)| format!("{name} is {value}; accepted is {least} or more"))
            .collect()
    }
}
