use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Number of bits of a UUIDv7 below its time.
const RANDOM_BITS: u32 = 80;

/// Id of an experiment, a UUIDv7: its first 48 bits are the time of the submission, so that ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "uuid", example = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11")]
pub struct ExperimentId(Uuid);

/// The error for a text that is not the id of an experiment; `joulemark list` prints ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an experiment id")]
pub struct NotAnId(String);

impl ExperimentId {
    /// Generates a new id. The ids of one process are strictly increasing.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Returns when the id was generated, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        let milliseconds = (self.0.as_u128() >> RANDOM_BITS) as i64;
        // 48 bits of milliseconds reach the year 10889, beyond jiff's range.
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
    }

    /// Returns a bound for comparisons, which is not a generated id: it sorts before all ids that are generated at
    /// `time` or later and after all earlier ones.
    pub fn first_at(time: Timestamp) -> Self {
        let milliseconds = time.as_millisecond() + i64::from(time.subsec_nanosecond() % 1_000_000 > 0);
        Self(Uuid::from_u128(u128::from(milliseconds.max(0) as u64) << RANDOM_BITS))
    }
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExperimentId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self).map_err(|_| NotAnId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn an_id_has_its_time_and_sorts_after_the_bound_of_that_time() {
        let id = ExperimentId::generate();
        let created_at = id.created_at();
        assert!(ExperimentId::first_at(created_at) <= id);
        assert!(ExperimentId::first_at(created_at - 1.microsecond()) <= id);
        assert!(ExperimentId::first_at(created_at + 1.nanosecond()) > id);
        assert!(ExperimentId::first_at(Timestamp::MIN) < id && ExperimentId::first_at(Timestamp::MAX) > id);
    }
}
