//! Settings of the leased GPUs, and the values that were in force.

use std::fmt;

use joulemark_experiment::report::{CycleStart, GpuClocks, GpuPowerLimit, ReadingRange};
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::is_same_power_limit;

use super::statistics::median;

/// Settings of the leased GPUs and the values in force in the measured cycles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuSettings {
    pub power_limits: Vec<GpuPowerLimit>,
    pub clocks: Vec<GpuClocks>,
}

/// A cycle in which a GPU's power limit differed from the one that was set.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitChange {
    /// Number of the cycle, from 0.
    pub cycle: u32,
    /// UUID of the GPU.
    pub gpu: String,
    /// Power limit that was set, in watts.
    pub set_w: f64,
    /// Power limit that was found, in watts.
    pub found_w: f64,
    /// Reason why the GPU was unavailable before it was found at its driver's default; `None` where it was available
    /// throughout.
    pub away: Option<String>,
}

impl fmt::Display for LimitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cycle,
            gpu,
            set_w,
            found_w,
            away,
        } = self;
        write!(
            f,
            "in cycle {cycle} a power limit of {found_w} W was in force on {gpu}, which was set to {set_w} W: "
        )?;
        match away {
            Some(why) => write!(
                f,
                "it was unavailable ({why}) and came back with its default, as after a reload of the driver"
            ),
            None => f.write_str("another program changed it"),
        }
    }
}

/// Returns the range of readings; `None` without a reading.
pub fn range(readings: impl Iterator<Item = f64>) -> Option<ReadingRange> {
    let all: Vec<f64> = readings.collect();
    Some(ReadingRange {
        min: all.iter().copied().reduce(f64::min)?,
        median: median(&all)?,
        max: all.iter().copied().reduce(f64::max)?,
    })
}

/// Returns the power limit, in watts, that all GPUs had throughout; `None` where limits differ, there is no GPU, or a
/// GPU does not report its limit.
pub(crate) fn common_limit_w(limits: &[GpuPowerLimit]) -> Option<f64> {
    let all: Option<Vec<ReadingRange>> = limits.iter().map(|limit| limit.in_force_w).collect();
    let all = all?;
    let lowest = all.iter().map(|range| range.min).reduce(f64::min)?;
    let highest = all.iter().map(|range| range.max).reduce(f64::max)?;
    is_same_power_limit(highest, lowest).then(|| all[0].median)
}

/// Warns about a cycle that is not counted because a power limit changed.
pub fn limit_changed(changes: &[LimitChange]) -> Option<Warning> {
    let change = changes.first()?;
    Some(Warning {
        code: WarningCode::PowerLimitChanged,
        message: format!("{change}; this cycle is not counted, and no cycle was measured after it"),
    })
}

/// Warns about cycles that began before power and temperature of the GPUs were steady.
pub(crate) fn not_settled(starts: &[CycleStart]) -> Option<Warning> {
    let unsettled = starts.iter().filter(|start| start.is_steady == Some(false));
    let cycles: Vec<String> = unsettled.map(|start| start.cycle.to_string()).collect();
    (!cycles.is_empty()).then(|| Warning {
        code: WarningCode::NotSettled,
        message: format!(
            "cycles began after settle.max_sec with a GPU whose power or temperature still changed: cycle {}",
            cycles.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(in_force_w: Option<(f64, f64)>) -> GpuPowerLimit {
        GpuPowerLimit {
            gpu: "GPU-a".to_owned(),
            asked_w: None,
            before_w: None,
            in_force_w: in_force_w.and_then(|(low, high)| range([low, high].into_iter())),
        }
    }

    #[test]
    fn a_limit_is_that_of_all_or_none() {
        assert_eq!(
            common_limit_w(&[limit(Some((300.0, 300.0))), limit(Some((300.0, 300.5)))]),
            Some(300.0)
        );
        assert_eq!(
            common_limit_w(&[limit(Some((300.0, 300.0))), limit(Some((350.0, 350.0)))]),
            None
        );
        assert_eq!(common_limit_w(&[limit(Some((300.0, 350.0)))]), None, "it changed");
        assert_eq!(common_limit_w(&[limit(Some((300.0, 300.0))), limit(None)]), None);
        assert_eq!(common_limit_w(&[]), None);
    }
}
