//! Others' load on the host's CPUs: what host energy could not be attributed to this server's experiments.

use super::observation::{Observation, worst};
use super::watched::{Surroundings, Watched};
use crate::estimation::series::Span;
use joulemark_measurement::{Warning, WarningCode, Window};

/// Of the host's busy CPU time: beyond it, the split of host energy rests on others as well.
const LEAST_SHARE_OF_BUSY: f64 = 0.05;

/// Of all the host's CPUs: on an idle host a few daemons are most of the busy time and disturb nobody.
const LEAST_SHARE_OF_HOST: f64 = 0.02;

/// One warning for the host. Nothing where CPU time is unknown: the missing attribution is warned of by itself.
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

fn observe(surroundings: Surroundings<'_>, (cycle, window): &(u32, Window), whose: &str) -> Option<Observation> {
    let span = Span::from(window);
    let growth = surroundings.timeline.cpu_growth(span).ok()?;
    let ours = growth.processes.iter().map(|(_, sec)| sec).sum::<f64>() + growth.newcomers_sec;
    let foreign_sec = growth.host_busy_sec - ours;
    let of_host = foreign_sec / (span.sec() * f64::from(surroundings.logical_cpus));
    if foreign_sec <= LEAST_SHARE_OF_BUSY * growth.host_busy_sec || of_host <= LEAST_SHARE_OF_HOST {
        return None;
    }
    let (of_busy, cpus) = (100.0 * foreign_sec / growth.host_busy_sec, foreign_sec / span.sec());
    Some(Observation {
        cycle: *cycle,
        weight: of_host,
        words: format!("Other programs than {whose} used {of_busy:.0} % of the busy CPU ({cpus:.2} CPUs)"),
    })
}
