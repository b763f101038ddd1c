use super::option::section;

section! {
    /// How much of everything a request, a caller and all together may have; 0 is no limit where it says so.
    pub struct Limits with LimitFlags {
        /// Most bytes of a request's headers.
        max_header_bytes: usize = 32768, at least 1024;

        /// Most bytes of a request's path and query.
        max_uri_bytes: usize = 8192, at least 256;

        /// Seconds in which a request's headers must be there.
        header_timeout_sec: u32 = 10, at least 1;

        /// Seconds that a request's body may pause.
        ///
        /// They are all of its pauses together, beyond 4096 bytes a second, which it must keep up. What is left of a body whose request was refused is discarded for as long; then the connection is closed.
        body_timeout_sec: u32 = 10, at least 1;

        /// Seconds that a client may take nothing of an answer.
        ///
        /// They are all of its pauses together, beyond 4096 bytes a second, which it must take; then the connection is
        /// closed.
        answer_timeout_sec: u32 = 60, at least 1;

        /// Seconds in which an answer must begin.
        request_timeout_sec: u32 = 60, at least 1;

        /// Seconds that PostgreSQL may take for a statement that a request asked for; 0 for no limit.
        ///
        /// An export asks for a page at a time, each a statement of its own. SQLite's statements are not ended, but each
        /// caller has no more than two of those that may take long at a time.
        query_timeout_sec: u32 = 30;

        /// Most that one caller may have of connections, requests and streams, in percent, rounded up.
        ///
        /// A caller is a key, else a name that a proxy vouches for, else an address (of IPv6 its /64): the client's behind
        /// a trusted proxy, whose own connections have no such limit. Without authentication all are one caller, who may
        /// have everything.
        max_share_percent: u32 = 25, at least 1;

        /// Most connections at a time.
        max_connections: u32 = 16384, at least 1;

        /// Most requests that are answered at a time.
        ///
        /// A body and an answer count once more for each MiB; an answer counts in its caller's share until it is sent.
        /// /healthz and /readyz do not count.
        max_concurrent_requests: u32 = 1024, at least 1;

        /// Most event streams and waiting requests at a time.
        ///
        /// Those that wait have `?wait=`. They do not count as requests that are answered, and each takes one of the
        /// connections.
        max_streams: u32 = 12288, at least 1;

        /// Seconds of silence after which an event stream sends a comment.
        ///
        /// Below the minute after which proxies close what is silent.
        stream_keep_alive_sec: u32 = 15, at least 1;

        /// Seconds after which an event stream is ended, for its client to come again where it was.
        ///
        /// A proxy that vouches for a name is asked anew then.
        stream_lifetime_sec: u32 = 3600, at least 1;

        /// Seconds after which, at the latest, an answer that goes on ends with its caller's key, up to 60.
        ///
        /// Streams, waits, exports: the key is looked at again, and what it opened ends when it was revoked, has expired or
        /// lost its role.
        stream_check_sec: u32 = 30, at least 1;

        /// Most exports that are made at a time.
        ///
        /// Each keeps a core busy, which the experiments that run are measured beside. One that waits for its client makes
        /// room for another; a caller may have as many open, and all together 16 times as many.
        max_concurrent_exports: usize = 2, at least 1;

        /// Requests a minute of one key; 0 for no limit.
        ///
        /// Likewise of one name that a proxy vouches for. As many may come at once.
        rate_limit_per_minute: u32 = 600;

        /// Most experiments that wait; 0 for no limit.
        max_queued: u64 = 100000;

        /// Most experiments of one submitter that wait or run; 0 for no limit.
        max_unfinished_per_user: u64 = 1000;

        /// Most device-hours that one submitter's experiments take in seven days; 0 for no limit.
        ///
        /// Devices (each GPU, and the CPU) times the hours for which they were leased, of what ended in the last seven
        /// days, to the hour, and of what runs. Whoever has had as much may not submit; what was accepted before runs, so
        /// max_unfinished_per_user bounds how far it is passed.
        max_device_hours_per_week: u64 = 0;

        /// Most joules that one submitter's experiments take in seven days; 0 for no limit.
        ///
        /// The energy attributed to them in their results. What failed, or was not metered, adds nothing: where energy may
        /// be unknown, limit device-hours as well.
        max_joules_per_week: u64 = 0;

        /// Another limit for one submitter, NAME:OPTION=VALUE; may be given several times [default: none].
        ///
        /// NAME is that of their keys, or the proxy's; OPTION is max_unfinished_per_user, max_device_hours_per_week or
        /// max_joules_per_week. Such as ada:max_device_hours_per_week=40.
        user_limit: Vec<String> = [];

        /// Highest priority that a submitter may ask for, 0 to 100; above it only admins go.
        ///
        /// Without authentication everybody is an admin. What is stored keeps its priority.
        max_priority_submitter: i32 = 0, at least 0;

        /// Most bytes that the experiments of one submitter take in the database, finished ones included; 0 for no limit.
        ///
        /// Those are their prompts above all. prompt_retention_days makes room again.
        max_stored_bytes_per_user: u64 = 1073741824;

        /// Most prompts of an experiment; 0 for no limit but the API's own.
        ///
        /// 100000 is also the API's own limit.
        max_prompts: u32 = 100000;

        /// Most tokens that an experiment could take; 0 for no limit.
        ///
        /// They are input and output of all prompts, cycles and ranks, at the worst.
        max_total_tokens: u64 = 10000000000;
    }
}

/// A revoked key opens nothing for longer.
const MAX_CHECK_SEC: u32 = 60;

impl Limits {
    /// Says what the types cannot. Each message names the option and what is accepted.
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

/// Returns a limit; `None` where it is 0, which says that there is none.
pub fn unless_zero<T: Default + PartialEq>(limit: T) -> Option<T> {
    (limit != T::default()).then_some(limit)
}
