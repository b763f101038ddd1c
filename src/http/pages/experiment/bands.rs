//! Bands behind the power chart: load, warm-up, idle baseline, settling, cycles, prefill and decode.

use joulemark_analysis::{PassStretches, hull};
use joulemark_charts::{Band, BandKind};
use joulemark_experiment::report::{CycleStart, Report, Timing};
use joulemark_measurement::{Baseline, BaselineKind, Window};

use super::raw::Raw;

/// Maximum number of prefill and decode intervals that are drawn one by one; more are merged by column.
const MAX_STRETCHES: usize = 300;
const COLUMNS: usize = 800;

/// Returns the bands of an experiment with results; times are seconds since `zero_sec`.
pub fn bands(report: &Report, raw: &Raw, zero_sec: f64, length_sec: f64) -> Vec<Band> {
    let band = |window: Window, kind: BandKind, label: String| Band {
        from_sec: window.start_monotonic_sec - zero_sec,
        to_sec: window.end_monotonic_sec - zero_sec,
        kind,
        label,
    };
    let cycles = cycles(raw);
    let mut bands = Vec::new();
    let loads = loads(report);
    let first = cycles.first().map(|(_, cycle)| cycle.start_monotonic_sec);
    let baselines: Vec<Window> = report
        .energy
        .baselines
        .iter()
        .filter_map(|baseline| baseline_window(baseline, first?))
        .collect();
    let warm_up_sec = report.timing.warm_up_sec / loads.len().max(1) as f64;
    for load in &loads {
        bands.push(band(*load, BandKind::Load, "load".to_owned()));
        let after_sec = after_warm_up((&report.timing, &report.cycle_starts), load, &cycles, &baselines);
        let warm_up = warm_up(load, after_sec, warm_up_sec);
        bands.push(band(warm_up, BandKind::WarmUp, "warm-up".to_owned()));
    }
    for baseline in baselines {
        bands.push(band(baseline, BandKind::Baseline, "idle baseline".to_owned()));
    }
    for (cycle, window) in &cycles {
        let start = report.cycle_starts.iter().find(|start| start.cycle == *cycle);
        if let Some(start) = start.filter(|start| start.waited_sec > 0.0) {
            let settle = Window {
                start_monotonic_sec: window.start_monotonic_sec - start.waited_sec,
                end_monotonic_sec: window.start_monotonic_sec,
            };
            bands.push(band(settle, BandKind::Settle, "settling".to_owned()));
        }
        bands.push(band(*window, BandKind::Cycle, format!("cycle {cycle}")));
    }
    bands.extend(phases(&raw.phases, zero_sec, length_sec));
    bands.retain(|band| band.to_sec > band.from_sec && band.to_sec > 0.0 && band.from_sec < length_sec);
    bands
}

/// Returns the window of each cycle, from the start of the first rank to the end of the last.
fn cycles(raw: &Raw) -> Vec<(u32, Window)> {
    let of_cycle = |ranks: &[joulemark_measurement::RankCycle]| {
        let windows: Vec<Window> = ranks.iter().map(|rank| rank.window).collect();
        Some((ranks.first()?.cycle, hull(&windows)?))
    };
    raw.ranks
        .chunk_by(|a, b| a.cycle == b.cycle)
        .filter_map(of_cycle)
        .collect()
}

/// Returns the windows in which models were loaded. Loads of all ranks for the same cycle are merged.
fn loads(report: &Report) -> Vec<Window> {
    let mut cycles: Vec<Option<u32>> = report.loads.iter().map(|load| load.cycle).collect();
    cycles.sort_unstable();
    cycles.dedup();
    let of = |cycle: Option<u32>| {
        let loads = report.loads.iter().filter(|load| load.cycle == cycle);
        hull(&loads.map(|load| load.window).collect::<Vec<_>>())
    };
    cycles.into_iter().filter_map(of).collect()
}

/// Returns when what follows the warm-up of a load began: the idle baseline with its settling, or else the pause before
/// the next cycle. Returns `None` when no cycle follows.
fn after_warm_up(
    (timing, starts): (&Timing, &[CycleStart]),
    load: &Window,
    cycles: &[(u32, Window)],
    baselines: &[Window],
) -> Option<f64> {
    let mut later = cycles.iter();
    let (cycle, window) = later.find(|(_, cycle)| cycle.start_monotonic_sec >= load.end_monotonic_sec)?;
    let ended = |baseline: &&Window| baseline.end_monotonic_sec <= window.start_monotonic_sec;
    let mut within = baselines.iter().filter(ended);
    if let Some(baseline) = within.find(|baseline| baseline.start_monotonic_sec >= load.end_monotonic_sec) {
        let idle_sec = timing.idle_baseline_sec.max(baseline.duration_sec());
        return Some(baseline.end_monotonic_sec - idle_sec);
    }
    let waited_sec = |cycle: Option<u32>| -> f64 {
        let starts = starts
            .iter()
            .filter(|start| cycle.is_none_or(|cycle| start.cycle == cycle));
        starts.map(|start| start.waited_sec).sum()
    };
    // A cool-down precedes every cycle but the first.
    let pauses = cycles.len().saturating_sub(1).max(1) as f64;
    let cooldown_sec = match cycles.first() {
        Some((first, _)) if first == cycle => 0.0,
        _ => (timing.cooldown_sec - waited_sec(None)).max(0.0) / pauses,
    };
    Some(window.start_monotonic_sec - waited_sec(Some(*cycle)) - cooldown_sec)
}

/// Returns the window of a warm-up of `sec` seconds that ended at `end_sec`, but not before the load. Without an end it
/// follows the load.
fn warm_up(load: &Window, end_sec: Option<f64>, sec: f64) -> Window {
    let end_monotonic_sec = end_sec
        .unwrap_or(load.end_monotonic_sec + sec)
        .max(load.end_monotonic_sec);
    Window {
        start_monotonic_sec: (end_monotonic_sec - sec).max(load.end_monotonic_sec),
        end_monotonic_sec,
    }
}

/// Returns the window of a loaded idle baseline; `None` for a bare one, which is older than the experiment.
fn baseline_window(baseline: &Baseline, first_cycle_sec: f64) -> Option<Window> {
    let of_loaded = baseline.kind == BaselineKind::Loaded;
    let (window_sec, age_sec) = baseline.window_sec.zip(baseline.age_sec).filter(|_| of_loaded)?;
    let end_monotonic_sec = first_cycle_sec - age_sec;
    Some(Window {
        start_monotonic_sec: end_monotonic_sec - window_sec,
        end_monotonic_sec,
    })
}

/// Returns the bands of prefill and decode. If there are too many intervals, each column shows the phase that took more
/// of its time.
fn phases(passes: &[PassStretches], zero_sec: f64, length_sec: f64) -> Vec<Band> {
    let each = || {
        passes.iter().flat_map(|pass| {
            let prefill = pass.prefill.iter().map(|window| (*window, BandKind::Prefill));
            prefill.chain(pass.decode.iter().map(|window| (*window, BandKind::Decode)))
        })
    };
    let overlap = passes.windows(2).any(|pair| begins(&pair[1]) < ends(&pair[0]));
    if !overlap && each().count() <= MAX_STRETCHES {
        let exact = each().map(|(window, kind)| Band {
            from_sec: window.start_monotonic_sec - zero_sec,
            to_sec: window.end_monotonic_sec - zero_sec,
            kind,
            label: words(kind).to_owned(),
        });
        return exact.collect();
    }
    by_column(each(), zero_sec, length_sec)
}

fn begins(pass: &PassStretches) -> f64 {
    let all = pass.prefill.iter().chain(&pass.decode);
    all.map(|window| window.start_monotonic_sec)
        .fold(f64::INFINITY, f64::min)
}

fn ends(pass: &PassStretches) -> f64 {
    let all = pass.prefill.iter().chain(&pass.decode);
    all.map(|window| window.end_monotonic_sec)
        .fold(f64::NEG_INFINITY, f64::max)
}

fn words(kind: BandKind) -> &'static str {
    match kind {
        BandKind::Prefill => "prefill",
        _ => "decode",
    }
}

fn by_column(each: impl Iterator<Item = (Window, BandKind)>, zero_sec: f64, length_sec: f64) -> Vec<Band> {
    let column_sec = length_sec / COLUMNS as f64;
    if column_sec.is_nan() || column_sec <= 0.0 {
        return Vec::new();
    }
    let mut covered = vec![[0.0_f64; 2]; COLUMNS];
    for (window, kind) in each {
        let (from, to) = (
            window.start_monotonic_sec - zero_sec,
            window.end_monotonic_sec - zero_sec,
        );
        let first = (from.max(0.0) / column_sec) as usize;
        let last = ((to.max(0.0) / column_sec) as usize).min(COLUMNS - 1);
        for (column, covered) in covered.iter_mut().enumerate().take(last + 1).skip(first) {
            let begin = column as f64 * column_sec;
            let sec = (to.min(begin + column_sec) - from.max(begin)).max(0.0);
            covered[usize::from(kind == BandKind::Decode)] += sec;
        }
    }
    let kinds = covered
        .iter()
        .map(|[prefill, decode]| match prefill.max(*decode) > 0.0 {
            false => None,
            true if prefill >= decode => Some(BandKind::Prefill),
            true => Some(BandKind::Decode),
        });
    let kinds: Vec<Option<BandKind>> = kinds.collect();
    let mut at = 0;
    let runs = kinds.chunk_by(|a, b| a == b).filter_map(|run| {
        let (from, to) = (at, at + run.len());
        at = to;
        let kind = (*run.first()?)?;
        Some(Band {
            from_sec: from as f64 * column_sec,
            to_sec: to as f64 * column_sec,
            kind,
            label: format!("mostly {}", words(kind)),
        })
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start_monotonic_sec: f64, end_monotonic_sec: f64) -> Window {
        Window {
            start_monotonic_sec,
            end_monotonic_sec,
        }
    }

    #[test]
    fn a_warm_up_ends_where_what_follows_begins() {
        let load = window(10.0, 20.0);
        for (end_sec, sec, expected) in [
            (Some(30.0), 4.0, (26.0, 30.0)),
            (Some(30.0), 40.0, (20.0, 30.0)),
            (Some(19.0), 4.0, (20.0, 20.0)),
            (None, 4.0, (20.0, 24.0)),
        ] {
            let found = warm_up(&load, end_sec, sec);
            assert_eq!(
                (found.start_monotonic_sec, found.end_monotonic_sec),
                expected,
                "{end_sec:?}"
            );
        }
    }

    #[test]
    fn an_idle_baseline_or_the_pause_before_a_cycle_follows_the_warm_up() {
        let timing = Timing {
            claim_to_load_start_sec: None,
            load_sec: 15.0,
            warm_up_sec: 8.0,
            idle_baseline_sec: 8.0,
            cooldown_sec: 7.0,
            measuring_sec: 15.0,
            total_sec: 100.0,
            overhead_share: None,
        };
        let starts = [CycleStart {
            cycle: 1,
            waited_sec: 3.0,
            temperature_c: None,
            is_below: true,
            is_steady: None,
        }];
        let cycles = [(0, window(50.0, 60.0)), (1, window(90.0, 95.0))];
        let idle = [window(42.0, 48.0)];
        let after = |load: Window, baselines: &[Window]| after_warm_up((&timing, &starts), &load, &cycles, baselines);
        assert_eq!(
            after(window(10.0, 20.0), &idle),
            Some(40.0),
            "with the settling before the baseline"
        );
        assert_eq!(after(window(10.0, 20.0), &[]), Some(50.0));
        assert_eq!(after(window(70.0, 75.0), &idle), Some(90.0 - 3.0 - 4.0));
        assert_eq!(after(window(96.0, 97.0), &idle), None);
    }

    #[test]
    fn few_intervals_are_drawn_one_by_one() {
        let pass = PassStretches {
            prefill: vec![window(101.0, 102.0)],
            decode: vec![window(102.0, 105.0)],
        };
        let found = phases(&[pass], 100.0, 10.0);
        let spans: Vec<_> = found
            .iter()
            .map(|band| (band.from_sec, band.to_sec, band.kind))
            .collect();
        assert_eq!(spans, [(1.0, 2.0, BandKind::Prefill), (2.0, 5.0, BandKind::Decode)]);
    }

    #[test]
    fn many_intervals_are_merged_and_cover_the_same_time() {
        let stretches = 0..5000;
        let pass = PassStretches {
            prefill: stretches
                .clone()
                .map(|step| window(f64::from(step), f64::from(step) + 0.2))
                .collect(),
            decode: stretches
                .map(|step| window(f64::from(step) + 0.2, f64::from(step) + 1.0))
                .collect(),
        };
        let found = phases(&[pass], 0.0, 10_000.0);
        assert!(found.len() <= COLUMNS, "{}", found.len());
        let covered: f64 = found.iter().map(|band| band.to_sec - band.from_sec).sum();
        assert!((covered - 5000.0).abs() < 2.0 * 10_000.0 / COLUMNS as f64, "{covered}");
        assert!(
            found.iter().all(|band| band.kind == BandKind::Decode),
            "decode takes most of each column"
        );
    }
}
