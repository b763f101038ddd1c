use clap::Args;
use serde::Serialize;

// Not a doc comment: clap would show it as the description of every command that these options are part of.
// Who may use the service, and how much of it.
#[derive(Debug, Args, Serialize)]
pub struct AccessOptions {
    /// keys, or none: everybody on this host may do everything, on a loopback address only [default: none].
    #[arg(long)]
    auth: Option<String>,
    /// A proxy whose X-Forwarded-For, -Proto, -Host and -Prefix are believed, as an address, a network, or unix for the
    /// socket that is listened on; may be given several times.
    #[arg(long)]
    trusted_proxy: Option<Vec<String>>,
    /// Header in which a trusted proxy names the user.
    #[arg(long)]
    identity_header: Option<String>,
    /// What users named by the identity header may do: reader, submitter or admin [default: submitter].
    #[arg(long)]
    identity_role: Option<String>,
    /// Let everybody read everybody's prompts.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    share_prompts: Option<bool>,
    /// An address or a network that reads the metrics without a key; may be given several times [default: none].
    #[arg(long)]
    metrics_from: Option<Vec<String>>,
    /// A web origin whose pages may use the API; may be given several times [default: none].
    #[arg(long)]
    cors_origin: Option<Vec<String>>,
    /// A Hugging Face id, or org/* for all of an organisation's, that allow_hub is for; may be given several times
    /// [default: all].
    #[arg(long)]
    hub_allow: Option<Vec<String>>,
    /// Most bytes of a request's headers [default: 32768].
    #[arg(long)]
    max_header_bytes: Option<u64>,
    /// Most bytes of a request's path and query [default: 8192].
    #[arg(long)]
    max_uri_bytes: Option<u64>,
    /// Seconds in which a request's headers must be there [default: 10].
    #[arg(long)]
    header_timeout_sec: Option<u32>,
    /// Seconds that a request's body may pause [default: 10].
    #[arg(long)]
    body_timeout_sec: Option<u32>,
    /// Seconds in which an answer must begin [default: 60].
    #[arg(long)]
    request_timeout_sec: Option<u32>,
    /// Most connections at a time [default: 16384].
    #[arg(long)]
    max_connections: Option<u32>,
    /// Most requests that are answered at a time [default: 1024].
    #[arg(long)]
    max_concurrent_requests: Option<u64>,
    /// Most event streams and waiting requests at a time [default: 12288].
    #[arg(long)]
    max_streams: Option<u32>,
    /// Most exports that are made at a time [default: 2].
    #[arg(long)]
    max_concurrent_exports: Option<u64>,
    /// Requests a minute of one key; 0 for no limit [default: 600].
    #[arg(long)]
    rate_limit_per_minute: Option<u32>,
    /// Most experiments that wait; 0 for no limit [default: 100000].
    #[arg(long)]
    max_queued: Option<u64>,
    /// Most experiments of one submitter that wait or run; 0 for no limit [default: 1000].
    #[arg(long)]
    max_unfinished_per_user: Option<u64>,
    /// Most prompts of an experiment; 0 for no limit but the API's own [default: 100000].
    #[arg(long)]
    max_prompts: Option<u32>,
    /// Most tokens that an experiment could take; 0 for no limit [default: 10000000000].
    #[arg(long)]
    max_total_tokens: Option<u64>,
}
