use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ExperimentId, State};

/// A change of an experiment's state, with the number that the database gave it and what listeners may filter by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Number of the change. It grows with every change of any experiment, in the order of the commits; there are gaps.
    pub seq: i64,
    pub id: ExperimentId,
    pub state: State,
    pub attempt: u32,
    pub at: Timestamp,
    /// User whom the experiment's device time is counted for; `None` where none is named.
    pub user: Option<String>,
    pub labels: BTreeMap<String, String>,
}
