use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ExperimentId, State};

/// One change of an experiment's state, as the database numbered it, with what it can be chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Grows with every change of any experiment, in the order of the commits; there are gaps.
    pub seq: i64,
    pub id: ExperimentId,
    pub state: State,
    pub attempt: u32,
    pub at: Timestamp,
    /// Whom the experiment's device time counts for; null for nobody named.
    pub user: Option<String>,
    pub labels: BTreeMap<String, String>,
}
