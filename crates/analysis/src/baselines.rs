//! Idle baselines: idle power, and the energy above it. Idle energy is shown and never subtracted. Owns which sources a
//! baseline must cover. Leaves reading idle power to the meter.

use super::aggregate::Aggregate;
use super::group::{CycleHost, Group, groups};
use super::sources::with_windows;
use super::sums::whole;
pub use joulemark_experiment::report::IdleState;
use joulemark_measurement::{Baseline, BaselineKind, EnergyDomain, EnergyMethod, EnergyMetrics, IdlePower, RankCycle};

/// Sets the baselines and the host's idle energy of the aggregate and of each of its cycles.
pub(super) fn attach(aggregate: &mut Aggregate, cycles: &[RankCycle], hosts: &[CycleHost], idle: &[IdleState]) {
    let groups = groups(cycles, hosts);
    for (group, report) in groups.iter().zip(&mut aggregate.cycles) {
        fill(&mut report.energy, std::slice::from_ref(group), idle);
    }
    fill(&mut aggregate.energy, &groups, idle);
}

/// Sets the baselines and the host's idle energy over some cycles.
fn fill(energy: &mut EnergyMetrics, groups: &[Group<'_>], idle: &[IdleState]) {
    energy.baselines = idle.iter().map(|idle| baseline(groups, idle)).collect();
    let of_bare = |bare: &IdleState| {
        let of_cycle = |group: &Group<'_>| group.host.and_then(|host| host_idle_energy_j(host, bare));
        whole(groups.iter().map(of_cycle))
    };
    energy.host_idle_energy_j = idle
        .iter()
        .find(|idle| idle.kind == BaselineKind::Bare)
        .and_then(of_bare);
}

/// Returns the energy that the host's packages would have used while idle over the same time, in joules; `None` where
/// idle power or the host's energy is unknown. It is at most the host's energy: a host that used less than its baseline
/// was idle throughout.
pub fn host_idle_energy_j(host: &EnergyMetrics, bare: &IdleState) -> Option<f64> {
    let is_counted_package = |domain, counted| domain == EnergyDomain::Package && counted;
    let packages = host
        .sources
        .iter()
        .filter(|source| is_counted_package(source.domain, source.counted_in_total));
    let idle_w = whole(packages.map(|package| bare.powers.iter().find(|power| power.is_of(package))?.power_w()))?;
    Some((idle_w * host.duration_sec?).min(host.host_cpu_energy_j?))
}

/// Computes a baseline over every source that the total counts, each over the windows of its energy.
fn baseline(groups: &[Group<'_>], idle: &IdleState) -> Baseline {
    let mut covered: Vec<&IdlePower> = Vec::new();
    let (mut missing, mut unread) = (Vec::new(), Vec::new());
    let mut marginal_j = 0.0;
    for (reading, window_sec) in groups.iter().flat_map(with_windows) {
        let is_gpu = reading.domain == EnergyDomain::Gpu;
        if !reading.counted_in_total && !is_gpu {
            continue;
        }
        let name = reading
            .gpu_uuid
            .as_deref()
            .or(reading.zone_path.as_deref())
            .unwrap_or("the CPU estimate");
        let power = idle.powers.iter().find(|power| power.is_of(reading));
        let Some((power, power_w)) = power.and_then(|power| Some((power, power.power_w()?))) else {
            push_once(&mut missing, name);
            continue;
        };
        match reading.energy_j {
            Some(energy_j) => marginal_j += energy_j - power_w * window_sec,
            None => push_once(&mut unread, name),
        }
        if !covered.iter().any(|known| known.is_of(reading)) {
            covered.push(power);
        }
    }
    let is_whole = missing.is_empty() && !covered.is_empty();
    let power_w = |domains: &[EnergyDomain]| {
        let of_domains = covered.iter().filter(|power| domains.contains(&power.reading.domain));
        whole(of_domains.map(|power| power.power_w()))
    };
    let began = groups
        .iter()
        .flat_map(|group| &group.ranks)
        .map(|rank| rank.window.start_monotonic_sec);
    let began = began.fold(f64::INFINITY, f64::min);
    let ended = covered
        .iter()
        .map(|power| power.window.end_monotonic_sec)
        .reduce(f64::min);
    let baseline_power_w = covered.iter().filter_map(|power| power.power_w()).sum();
    Baseline {
        kind: idle.kind,
        baseline_power_w: is_whole.then_some(baseline_power_w),
        gpu_power_w: power_w(&[EnergyDomain::Gpu]).filter(|_| is_whole),
        host_cpu_power_w: power_w(&[EnergyDomain::Package]).filter(|_| is_whole),
        marginal_energy_j: (is_whole && unread.is_empty()).then_some(marginal_j),
        window_sec: covered
            .iter()
            .map(|power| power.window.duration_sec())
            .reduce(f64::min)
            .filter(|_| is_whole),
        age_sec: ended
            .map(|ended| began - ended)
            .filter(|age_sec| is_whole && age_sec.is_finite()),
        note: note(idle, &covered, &missing, &unread),
    }
}

/// Adds a name unless it is there already.
fn push_once<'a>(names: &mut Vec<&'a str>, name: &'a str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Returns the limits of a baseline; `None` where there is nothing to note.
fn note(idle: &IdleState, covered: &[&IdlePower], missing: &[&str], unread: &[&str]) -> Option<String> {
    if covered.is_empty() && missing.is_empty() {
        return Some("no source of this experiment has an energy to compare a baseline with".to_owned());
    }
    if !missing.is_empty() {
        return Some(format!("no idle power of {}: {}", missing.join(", "), idle.why_missing));
    }
    if !unread.is_empty() {
        return Some(format!(
            "no marginal energy: the energy of {} is unknown",
            unread.join(", ")
        ));
    }
    let is_estimate = covered
        .iter()
        .any(|power| power.reading.method == EnergyMethod::Estimate);
    is_estimate.then(|| "the CPU's part is an estimate, both of idle power and of energy".to_owned())
}

#[cfg(test)]
mod tests;
