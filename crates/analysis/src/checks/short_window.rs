use super::warning::warning;
use joulemark_experiment::report::CycleReport;
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::RankCycle;

/// Hardware counters move every 20 to 100 ms: at an edge of a window, up to 1 % of 10 s is guessed.
const LEAST_SEC: f64 = 10.0;
const LEAST_SAMPLES: u32 = 10;

/// One warning for the experiment, with its shortest window and its fewest samples.
pub fn check(cycles: &[RankCycle], reports: &[CycleReport]) -> Option<Warning> {
    let shortest = cycles
        .iter()
        .map(|cycle| (cycle.window.duration_sec(), cycle))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(sec, _)| *sec < LEAST_SEC)
        .map(|(sec, cycle)| format!("rank {} ran for {sec:.2} s in cycle {}", cycle.rank, cycle.cycle));
    let fewest = reports
        .iter()
        .flat_map(|report| report.energy.sources.iter().map(|source| (source, report.cycle)))
        .filter(|(source, _)| source.counted_in_total)
        .min_by_key(|(source, _)| source.sample_count)
        .filter(|(source, _)| source.sample_count < LEAST_SAMPLES)
        .map(|(source, cycle)| {
            let name = source
                .gpu_uuid
                .as_deref()
                .or(source.zone_path.as_deref())
                .unwrap_or("the CPU's estimate");
            format!("{name} was sampled {} times in cycle {cycle}", source.sample_count)
        });
    let findings: Vec<String> = shortest.into_iter().chain(fewest).collect();
    (!findings.is_empty()).then(|| {
        let advice = "energy is trustworthy from 10 s and 10 samples on";
        warning(WarningCode::ShortWindow, format!("{}; {advice}", findings.join("; ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate;
    use crate::fixtures::{host_cycle, rank_cycle};

    #[test]
    fn ten_seconds_and_ten_samples_are_enough() {
        let mut host = host_cycle(0, 80.0, 1.0);
        host.energy.sources[0].sample_count = 10;
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        assert_eq!(check(&cycles, &aggregate(&cycles, &[host]).cycles), None);
    }

    #[test]
    fn many_short_windows_are_one_warning_that_names_the_shortest() {
        let cycles = [
            rank_cycle(0, 0, 0.0, 3.0),
            rank_cycle(0, 1, 5.0, 7.0),
            rank_cycle(0, 2, 8.0, 11.0),
        ];
        let warning = check(&cycles, &aggregate(&cycles, &[]).cycles).unwrap();
        assert_eq!(warning.code, WarningCode::ShortWindow);
        assert!(
            warning.message.starts_with("rank 0 ran for 2.00 s in cycle 1;"),
            "{}",
            warning.message
        );
    }

    #[test]
    fn few_samples_in_a_long_window_are_noticed() {
        let mut host = host_cycle(0, 80.0, 1.0);
        host.energy.sources[0].sample_count = 9;
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        let warning = check(&cycles, &aggregate(&cycles, &[host]).cycles).unwrap();
        assert!(
            warning.message.contains("intel-rapl:0 was sampled 9 times in cycle 0"),
            "{}",
            warning.message
        );
    }
}
