/// The HTTP request by which an experiment was submitted, so that its log lines and its trace lead back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The X-Request-Id of the submission.
    pub request_id: Option<String>,
    /// The submission's span as a W3C traceparent; `None` where tracing is off.
    pub traceparent: Option<String>,
}
