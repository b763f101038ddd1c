use std::fmt;

use joulemark_measurement::is_same_power_limit;

use crate::board::{ControlError, Limits};
use crate::journal::{Before, Entry};

/// What became of a board that had been set.
#[derive(Clone, Debug, PartialEq)]
pub enum Restored {
    /// It has what it had before.
    Back { limit_w: Option<f64> },
    /// Somebody else has set another limit meanwhile, which it keeps.
    LeftAlone { found_w: f64, set_w: f64 },
    /// It could not be put back yet.
    Failed(ControlError),
}

/// A board, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredBoard {
    pub uuid: String,
    /// For whom it had been set.
    pub set_for: String,
    pub restored: Restored,
}

impl RestoredBoard {
    pub(crate) fn new(before: &Before, restored: Restored) -> Self {
        Self {
            uuid: before.uuid.clone(),
            set_for: before.set_for.clone(),
            restored,
        }
    }
}

impl fmt::Display for RestoredBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uuid,
            set_for,
            restored,
        } = self;
        match restored {
            Restored::Back { limit_w: Some(limit) } => {
                write!(
                    f,
                    "{uuid}: back at its power limit of {limit} W, set otherwise for {set_for}"
                )
            }
            Restored::Back { limit_w: None } => write!(f, "{uuid}: its clocks are unlocked, locked for {set_for}"),
            Restored::LeftAlone { found_w, set_w } => write!(
                f,
                "{uuid}: left at the power limit of {found_w} W, which somebody else has set: {set_w} W was set for {set_for}"
            ),
            Restored::Failed(error) => write!(f, "{uuid}: not put back after {set_for}: {error}"),
        }
    }
}

/// What is to be done with a board that had been set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Set this limit, in watts.
    Set(f64),
    /// It has its limit, or none was set.
    Nothing,
    /// Leave it: it has a limit that is not the one that was set.
    Leave { found_w: f64, set_w: f64 },
}

impl Step {
    /// Decides by what the journal says and what the board has now.
    pub fn of(entry: &Entry, now: &Limits) -> Self {
        let (Some(before_w), Some(now_w)) = (entry.before.limit_w, now.set_w) else {
            return Self::Nothing;
        };
        let is = |watts: f64| is_same_power_limit(watts, now_w);
        if is(before_w) {
            return Self::Nothing;
        }
        // The driver was loaded anew, and forgot what was set. What has been set since is somebody else's.
        let counters = entry.before.counter_mj.zip(now.counter_mj);
        let is_reloaded = counters.is_some_and(|(then, now)| now < then) && now.default_w.is_none_or(is);
        match entry.after.as_ref().and_then(|after| after.limit_w) {
            Some(set_w) if !is(set_w) && !is_reloaded => Self::Leave { found_w: now_w, set_w },
            // Also where whoever set it was killed before it could say to what.
            _ => Self::Set(before_w),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::After;

    fn step(set_w: Option<f64>, now_w: f64, counter_mj: u64) -> Step {
        let before = Before {
            uuid: "GPU-a".to_owned(),
            set_for: "a test".to_owned(),
            limit_w: Some(350.0),
            locks_gpu_clock: false,
            locks_memory_clock: false,
            counter_mj: Some(1000),
        };
        let after = set_w.map(|set_w| After { limit_w: Some(set_w) });
        let now = Limits {
            index: 0,
            set_w: Some(now_w),
            in_force_w: Some(now_w),
            default_w: Some(400.0),
            counter_mj: Some(counter_mj),
        };
        Step::of(&Entry { before, after }, &now)
    }

    #[test]
    fn what_was_set_goes_back_and_what_others_set_since_stays() {
        assert_eq!(step(Some(300.0), 300.0, 2000), Step::Set(350.0));
        assert_eq!(step(Some(300.0), 350.0, 2000), Step::Nothing, "it is back already");
        let left = Step::Leave {
            found_w: 250.0,
            set_w: 300.0,
        };
        assert_eq!(step(Some(300.0), 250.0, 2000), left);
        assert_eq!(
            step(Some(300.0), 400.0, 10),
            Step::Set(350.0),
            "the driver's default after a reload"
        );
        assert_eq!(step(Some(300.0), 250.0, 10), left, "set after a reload");
        assert_eq!(step(None, 300.0, 2000), Step::Set(350.0), "killed before it was known");
        assert_eq!(step(None, 350.0, 2000), Step::Nothing, "killed before it was set");
    }
}
