//! Warns when other programs used the host's CPUs in a window.

use super::observation::{Observation, worst};
use super::watched::{Surroundings, Watched};
use crate::estimation::series::Span;
use joulemark_measurement::{Warning, WarningCode, Window};

/// Minimum share of the host's busy CPU time that is reported: above it, other programs distort the split of the host's
/// energy.
const MIN_SHARE_OF_BUSY: f64 = 0.05;

/// Minimum share of all the host's CPUs that is reported: on an idle host a few daemons make up most of the busy time
/// and disturb nothing.
const MIN_SHARE_OF_HOST: f64 = 0.02;

/// Returns one warning for the host; `None` when other programs used little CPU, or when CPU time is unknown, which has
/// a warning elsewhere.
pub fn check(surroundings: Surroundings<'_>, watched: &Watched) -> Option<Warning> {
    let each = watched
        .cycles
        .iter()
        .filter_map(|cycle| observe(surroundings, cycle, watched.whose));
    let observations: Vec<_> = each.collect();
    let mut warning = worst(WarningCode::ForeignCpuLoad, "", &observations)?;
    warning.message.push_str(": do not cite, run again");
    Some(warning)
}

/// Returns what other programs used in one window; `None` when it is too little to report.
fn observe(surroundings: Surroundings<'_>, (cycle, window): &(u32, Window), whose: &str) -> Option<Observation> {
    let span = Span::from(window);
    let growth = surroundings.timeline.cpu_growth(span).ok()?;
    let ours = growth.processes.iter().map(|(_, sec)| sec).sum::<f64>() + growth.newcomers_sec;
    let foreign_sec = growth.host_busy_sec - ours;
    let of_host = foreign_sec / (span.sec() * f64::from(surroundings.logical_cpus));
    if foreign_sec <= MIN_SHARE_OF_BUSY * growth.host_busy_sec || of_host <= MIN_SHARE_OF_HOST {
        return None;
    }
    let (of_busy, cpus) = (100.0 * foreign_sec / growth.host_busy_sec, foreign_sec / span.sec());
    Some(Observation {
        cycle: *cycle,
        weight: of_host,
        words: format!("Programs other than {whose} used {of_busy:.0} % of the busy CPU ({cpus:.2} CPUs)"),
    })
}
