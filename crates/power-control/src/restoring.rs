use std::fmt;

use joulemark_measurement::is_same_power_limit;

use crate::board::{ControlError, Limits};
use crate::journal::{Before, Entry};

/// The result of restoring a board.
#[derive(Clone, Debug, PartialEq)]
pub enum Restored {
    /// It has its previous limit again, in watts; `None` when only clocks were locked.
    Back { limit_w: Option<f64> },
    /// Another program has set another limit meanwhile, which was left in place. Both limits are in watts.
    LeftAlone { found_w: f64, set_w: f64 },
    /// It could not be restored yet.
    Failed(ControlError),
}

/// A board and the result of restoring it.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredBoard {
    pub uuid: String,
    /// The purpose for which it had been set.
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
                write!(f, "{uuid}: back at its power limit of {limit} W, changed for {set_for}")
            }
            Restored::Back { limit_w: None } => write!(f, "{uuid}: its clocks, locked for {set_for}, are unlocked"),
            Restored::LeftAlone { found_w, set_w } => write!(
                f,
                "{uuid}: left at the power limit of {found_w} W, which another program has set; {set_w} W was set for \
                 {set_for}"
            ),
            Restored::Failed(error) => write!(f, "{uuid}: not restored after {set_for}: {error}"),
        }
    }
}

/// What to do with the limit of a board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Set this limit, in watts.
    Set(f64),
    /// Do nothing: it has its previous limit, or no limit was set.
    Nothing,
    /// Leave it, because its limit is not the one that was set. Both limits are in watts.
    Leave { found_w: f64, set_w: f64 },
}

impl Step {
    /// Decides by the journal and the present limits.
    pub fn of(entry: &Entry, now: &Limits) -> Self {
        let (Some(before_w), Some(now_w)) = (entry.before.limit_w, now.set_w) else {
            return Self::Nothing;
        };
        let is = |watts: f64| is_same_power_limit(watts, now_w);
        if is(before_w) {
            return Self::Nothing;
        }
        // A lower counter means that the driver was reloaded, which resets the limit to the default. Another limit was
        // set by another program since.
        let counters = entry.before.counter_mj.zip(now.counter_mj);
        let is_reloaded = counters.is_some_and(|(then, now)| now < then) && now.default_w.is_none_or(is);
        match entry.after.as_ref().and_then(|after| after.limit_w) {
            Some(set_w) if !is(set_w) && !is_reloaded => Self::Leave { found_w: now_w, set_w },
            // Also when the process was killed before it had written the result.
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
    fn the_limit_is_restored_unless_another_program_changed_it() {
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
