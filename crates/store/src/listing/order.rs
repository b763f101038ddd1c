use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use super::super::Record;
use super::super::record::to_us;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::quoted;

/// The order of a list; ids order experiments that compare equal. A list ordered by time of finish contains finished
/// experiments only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    #[default]
    NewestFirst,
    OldestFirst,
    LastFinishedFirst,
    FirstFinishedFirst,
}

impl ListOrder {
    /// Every order.
    pub const ALL: [Self; 4] = [
        Self::NewestFirst,
        Self::OldestFirst,
        Self::LastFinishedFirst,
        Self::FirstFinishedFirst,
    ];

    /// Returns whether the list is ordered by time of finish.
    pub fn is_by_finish(self) -> bool {
        matches!(self, Self::LastFinishedFirst | Self::FirstFinishedFirst)
    }

    /// Returns whether the latest experiment comes first.
    pub fn is_descending(self) -> bool {
        matches!(self, Self::NewestFirst | Self::LastFinishedFirst)
    }
}

/// The position of the last experiment of a page; the next page begins behind it. Its text form is the cursor of the
/// API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) id: ExperimentId,
    /// Time of finish in microseconds since 1970; `None` unless the list is ordered by it.
    pub(super) finished_at_us: Option<i64>,
}

impl Cursor {
    /// Returns the position of an experiment in a list of this order.
    pub fn at(record: &Record, order: ListOrder) -> Self {
        Self::new(record.id, record.finished_at, order)
    }

    /// Returns the position of the experiment with this id and time of finish.
    pub fn new(id: ExperimentId, finished_at: Option<Timestamp>, order: ListOrder) -> Self {
        Self {
            id,
            finished_at_us: finished_at.filter(|_| order.is_by_finish()).map(to_us),
        }
    }

    /// Returns whether the cursor belongs to a list of this order.
    pub fn is_of(self, order: ListOrder) -> bool {
        self.finished_at_us.is_some() == order.is_by_finish()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.finished_at_us {
            Some(finished_at_us) => write!(f, "{finished_at_us}.{}", self.id),
            None => self.id.fmt(f),
        }
    }
}

/// The reason why a text is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotACursor {
    #[error("{} is not a time in microseconds", quoted(.0))]
    Time(String),
    #[error("{} is not an experiment's id", quoted(.0))]
    Id(String),
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (finished_at_us, id) = match text.split_once('.') {
            Some((us, id)) => (Some(us.parse().map_err(|_| NotACursor::Time(us.to_owned()))?), id),
            None => (None, text),
        };
        let id = id.parse().map_err(|_| NotACursor::Id(id.to_owned()))?;
        Ok(Self { id, finished_at_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_belongs_to_one_kind_of_order() {
        let (id, time) = (
            ExperimentId::generate(),
            Timestamp::from_microsecond(123_456_789).unwrap(),
        );
        for order in ListOrder::ALL {
            let cursor = Cursor::new(id, Some(time), order);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
            for other in ListOrder::ALL {
                assert_eq!(cursor.is_of(other), order.is_by_finish() == other.is_by_finish());
            }
        }
        for text in ["", "x", ".", "1.", "x.01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
