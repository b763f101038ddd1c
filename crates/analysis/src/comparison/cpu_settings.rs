use std::collections::{BTreeMap, BTreeSet};

use joulemark_experiment::report::{RaplLimit, RunConditions};

/// CPU settings of a result's host; empty or `None` where they are unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuSettings {
    governors: Vec<String>,
    scaling_driver: Option<String>,
    turbo: Option<bool>,
    rapl_limits: Vec<RaplLimit>,
}

impl From<&RunConditions> for CpuSettings {
    fn from(conditions: &RunConditions) -> Self {
        Self {
            governors: conditions.cpu_governors.clone(),
            scaling_driver: conditions.cpu_scaling_driver.clone(),
            turbo: conditions.turbo,
            rapl_limits: conditions.rapl_limits.clone(),
        }
    }
}

/// Returns a sentence for each CPU setting in which two results differ. A setting that is unknown for either is left
/// out.
pub fn other_cpu_settings(baseline: &CpuSettings, candidate: &CpuSettings) -> Vec<String> {
    let governors = |of: &CpuSettings| (!of.governors.is_empty()).then(|| of.governors.join(" and "));
    let turbo = |of: &CpuSettings| Some(if of.turbo? { "on" } else { "off" }.to_owned());
    let settings = [
        (
            "different CPU frequency governor",
            governors(baseline),
            governors(candidate),
        ),
        (
            "different CPU frequency driver",
            baseline.scaling_driver.clone(),
            candidate.scaling_driver.clone(),
        ),
        ("different CPU turbo setting", turbo(baseline), turbo(candidate)),
    ];
    let of_setting = |(what, one, other): (&str, Option<String>, Option<String>)| {
        let (one, other) = one.zip(other)?;
        (one != other).then(|| format!("{what}: {one} in the baseline, {other} in the candidate"))
    };
    let mut found: Vec<String> = settings.into_iter().filter_map(of_setting).collect();
    found.extend(other_rapl_limits(&baseline.rapl_limits, &candidate.rapl_limits));
    found
}

/// Returns how two hosts' RAPL limits differ; `None` where they are equal, or unknown for either.
fn other_rapl_limits(baseline: &[RaplLimit], candidate: &[RaplLimit]) -> Option<String> {
    if baseline.is_empty() || candidate.is_empty() {
        return None;
    }
    let (one, other) = (by_constraint(baseline), by_constraint(candidate));
    let all: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let shown = |limits: Option<&Vec<String>>| limits.map_or("no limit".to_owned(), |limits| limits.join(" and "));
    let differing: Vec<String> = all
        .into_iter()
        .filter(|constraint| one.get(*constraint) != other.get(*constraint))
        .map(|constraint| {
            let (one, other) = (shown(one.get(constraint)), shown(other.get(constraint)));
            let (zone, name) = constraint;
            format!("{zone} {name} has {one} in the baseline, {other} in the candidate")
        })
        .collect();
    (!differing.is_empty()).then(|| format!("different RAPL limits: {}", differing.join("; ")))
}

/// Returns the limits in words by zone and constraint; several where zones share a name, like `dram` of each socket.
fn by_constraint(limits: &[RaplLimit]) -> BTreeMap<(&str, &str), Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for limit in limits {
        let over = limit.time_window_sec.map(|sec| format!(" over {sec} s"));
        let of = found.entry((limit.zone.as_str(), limit.constraint.as_str()));
        of.or_default()
            .push(format!("{} W{}", limit.power_limit_w, over.unwrap_or_default()));
    }
    found
}
