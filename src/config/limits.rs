//! Options that limit what a request, a caller and all callers together may use.

use super::option::section;

section! {
    /// Limits on a request, a caller and all callers together. 0 means no limit only where the option says so.
    pub struct Limits with LimitFlags {
        /// Maximum size of a request's headers, in bytes.
        max_header_bytes: usize = 32768, at least 1024;

        /// Maximum size of a request's path and query, in bytes.
        max_uri_bytes: usize = 8192, at least 256;

        /// Seconds within which the headers of a request must arrive.
        header_timeout_sec: u32 = 10, at least 1;

        /// Seconds that the body of a request may pause, in total.
        ///
        /// A body must otherwise arrive at 4096 bytes a second or more; faster bytes make up for pauses. The rest of a
        /// rejected body is read for as long, then the connection is closed.
        body_timeout_sec: u32 = 10, at least 1;

        /// Seconds that a client may pause while it reads a response, in total.
        ///
        /// It must otherwise read 4096 bytes a second or more; then the connection is closed.
        answer_timeout_sec: u32 = 60, at least 1;

        /// Seconds within which a response must begin.
        request_timeout_sec: u32 = 60, at least 1;

        /// Timeout in seconds of a PostgreSQL statement that a request causes; 0 sets no limit.
        ///
        /// An export uses one statement for each page. Statements of SQLite are not interrupted, but each caller may
        /// run at most two long ones at a time.
        query_timeout_sec: u32 = 30;

        /// Maximum share of connections, requests and streams for one caller, in percent, rounded up.
        ///
        /// A caller is a key, else a name given by a trusted proxy, else an address (for IPv6 its /64). Behind a
        /// trusted proxy it is the client's address, and the proxy's connections are not limited. Without
        /// authentication all requests are from one caller, who may use everything.
        max_share_percent: u32 = 25, at least 1;

        /// Maximum number of open connections.
        max_connections: u32 = 16384, at least 1;

        /// Maximum number of requests that are handled at the same time.
        ///
        /// A body and a response count once more for each MiB. A response counts towards its caller's share until it is
        /// sent. /healthz and /readyz do not count.
        max_concurrent_requests: u32 = 1024, at least 1;

        /// Maximum number of open event streams and long polls.
        ///
        /// Long polls are requests with `?wait=`. Neither counts towards max_concurrent_requests, but each uses a
        /// connection.
        max_streams: u32 = 12288, at least 1;

        /// Seconds of silence after which an event stream sends a comment.
        ///
        /// Must be less than the timeout of proxies for idle connections, often 60 s.
        stream_keep_alive_sec: u32 = 15, at least 1;

        /// Seconds after which an event stream ends; the client then resumes it.
        ///
        /// A name given by a trusted proxy is thereby confirmed again.
        stream_lifetime_sec: u32 = 3600, at least 1;

        /// Interval in seconds at which the key of an open response is checked again, up to 60.
        ///
        /// Applies to streams, long polls and exports. They end when the key has been revoked, has expired or has lost
        /// its role.
        stream_check_sec: u32 = 30, at least 1;

        /// Maximum number of exports that are computed at the same time.
        ///
        /// Each uses a CPU core, which may disturb running experiments. An export that waits for its client leaves its
        /// turn to another. A caller may have this many exports open, and all callers together 16 times as many.
        max_concurrent_exports: usize = 2, at least 1;

        /// Maximum number of requests a minute for one key; 0 sets no limit.
        ///
        /// Applies likewise to each name given by a trusted proxy. A burst may have the same number of requests.
        rate_limit_per_minute: u32 = 600;

        /// Maximum number of queued experiments; 0 sets no limit.
        max_queued: u64 = 100000;

        /// Maximum number of queued and running experiments of one submitter; 0 sets no limit.
        max_unfinished_per_user: u64 = 1000;

        /// Maximum number of device-hours of one submitter within seven days; 0 sets no limit.
        ///
        /// Counts each GPU, and the CPU, for the hours that experiments leased them: those that ended within the last
        /// seven days (to the hour), and those that run. A submitter who has used the quota cannot submit. Experiments
        /// that were accepted before still run; max_unfinished_per_user limits how far they exceed the quota.
        max_device_hours_per_week: u64 = 0;

        /// Maximum energy of one submitter's experiments within seven days, in joules; 0 sets no limit.
        ///
        /// Counts the energy attributed to experiments in their results. Failed or unmetered experiments count nothing,
        /// so limit device-hours as well where energy may be unknown.
        max_joules_per_week: u64 = 0;

        /// Limit for one submitter that replaces the general one, NAME:OPTION=VALUE; may be given several times
        /// [default: none].
        ///
        /// NAME is the name of the submitter's keys, or the one given by a trusted proxy. OPTION is
        /// max_unfinished_per_user, max_device_hours_per_week or max_joules_per_week. For example
        /// ada:max_device_hours_per_week=40.
        user_limit: Vec<String> = [];

        /// Highest priority that a submitter may request, 0 to 100; higher ones need an admin.
        ///
        /// Without authentication every caller is an admin. Stored experiments keep their priority.
        max_priority_submitter: i32 = 0, at least 0;

        /// Maximum bytes that one submitter's experiments use in the database, finished ones included; 0 sets no limit.
        ///
        /// Most of it are prompts. prompt_retention_days frees space again.
        max_stored_bytes_per_user: u64 = 1073741824;

        /// Maximum number of prompts of an experiment; 0 sets no limit besides the API's.
        ///
        /// The API's own limit is 100000.
        max_prompts: u32 = 100000;

        /// Maximum number of tokens that an experiment may need; 0 sets no limit.
        ///
        /// Counts the maximum input and output of all prompts, cycles and ranks.
        max_total_tokens: u64 = 10000000000;
    }
}

/// Maximum interval at which keys are checked, and so how long a revoked key may keep a response open.
const MAX_CHECK_SEC: u32 = 60;

impl Limits {
    /// Returns the problems of the limits. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.user_limit_problems();
        if self.max_priority_submitter > 100 {
            problems.push(format!(
                "max_priority_submitter is {}; accepted are 0 to 100",
                self.max_priority_submitter
            ));
        }
        if self.stream_check_sec > MAX_CHECK_SEC {
            let given = self.stream_check_sec;
            problems.push(format!(
                "stream_check_sec is {given}; accepted are 1 to {MAX_CHECK_SEC}"
            ));
        }
        problems
    }
}

/// Returns the limit; `None` when it is 0, which means no limit.
pub fn unless_zero<T: Default + PartialEq>(limit: T) -> Option<T> {
    (limit != T::default()).then_some(limit)
}
