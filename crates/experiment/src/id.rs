use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Bits of a UUIDv7 below its time.
const RANDOM_BITS: u32 = 80;

/// A UUIDv7: its first 48 bits are the submission's time, so ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "uuid", example = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11")]
pub struct ExperimentId(Uuid);

/// A text that is no experiment's id: copy one from `joulemark list`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an experiment id")]
pub struct NotAnId(String);

impl ExperimentId {
    /// A new id; ids of one process are strictly increasing.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// When it was generated, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        let milliseconds = (self.0.as_u128() >> RANDOM_BITS) as i64;
        // 48 bits end in the year 10889; jiff's time ends before.
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
    }

    /// No id itself: sorts before every one generated at `time` or later, and after all others.
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
    fn an_id_knows_its_time_and_a_time_its_first_id() {
        let id = ExperimentId::generate();
        let created_at = id.created_at();
        assert!(ExperimentId::first_at(created_at) <= id);
        assert!(ExperimentId::first_at(created_at - 1.microsecond()) <= id);
        assert!(ExperimentId::first_at(created_at + 1.nanosecond()) > id);
        assert!(ExperimentId::first_at(Timestamp::MIN) < id && ExperimentId::first_at(Timestamp::MAX) > id);
    }
}
