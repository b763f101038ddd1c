/// By which request an experiment came, so that its log lines and its trace lead back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The X-Request-Id of the submission's answer.
    pub request_id: Option<String>,
    /// The submission's span as a W3C traceparent; null where no traces are taken.
    pub traceparent: Option<String>,
}
