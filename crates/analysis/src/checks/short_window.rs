use super::warning::warning;
use joulemark_experiment::report::CycleReport;
use joulemark_experiment::{DatasetPrompts, Prompts, Spec, Warning, WarningCode};
use joulemark_measurement::RankCycle;

/// Shortest window without a warning, in seconds. Hardware counters are refreshed every 20 to 100 ms, so up to 1 % of
/// 10 s is interpolated at the edges of a window.
const MIN_SEC: f64 = 10.0;
/// Smallest number of samples without a warning.
const MIN_SAMPLES: u32 = 10;
/// Name and number of prompts of the largest built-in set.
const LARGEST_SET: (&str, u32) = ("mixed-512", 512);
/// Largest factor that is given as advice.
const MAX_FACTOR: f64 = 1000.0;

/// Returns one warning for the experiment, about its shortest window and its smallest number of samples.
pub fn check(spec: &Spec, cycles: &[RankCycle], reports: &[CycleReport]) -> Option<Warning> {
    let shortest = cycles
        .iter()
        .map(|cycle| (cycle.window.duration_sec(), cycle))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(sec, _)| *sec < MIN_SEC)
        .map(|(sec, cycle)| lasted(sec, cycle, (cycles.iter().any(|other| other.rank != cycle.rank), spec)));
    let fewest = reports
        .iter()
        .flat_map(|report| report.energy.sources.iter().map(|source| (source, report.cycle)))
        .filter(|(source, _)| source.counted_in_total)
        .min_by_key(|(source, _)| source.sample_count)
        .filter(|(source, _)| source.sample_count < MIN_SAMPLES)
        .map(|(source, cycle)| {
            let name = source
                .gpu_uuid
                .as_deref()
                .or(source.zone_path.as_deref())
                .unwrap_or("the CPU's estimate");
            let count = source.sample_count;
            format!("{name} was sampled {count} times in cycle {cycle}; energy needs {MIN_SAMPLES} samples")
        });
    let findings: Vec<String> = shortest.into_iter().chain(fewest).collect();
    (!findings.is_empty()).then(|| warning(WarningCode::ShortWindow, findings.join("; ")))
}

/// Returns a sentence about a short cycle: its length, its rank where there are several, and how to make it long
/// enough.
fn lasted(sec: f64, cycle: &RankCycle, (is_one_of_several, spec): (bool, &Spec)) -> String {
    let number = cycle.cycle;
    let whose = match is_one_of_several {
        true => format!(" on rank {}", cycle.rank),
        false => String::new(),
    };
    let times = (MIN_SEC / sec).ceil();
    // For a window close to 0 s the factor is not reliable.
    let factor = (times <= MAX_FACTOR).then_some(times);
    let advice = match (set_without(times, spec), factor) {
        (Some(set), _) => in_place_of_more_prompts(set, factor),
        (None, Some(times)) => format!("use {times} times the prompts or tokens to reach {MIN_SEC} s"),
        (None, None) => format!("use many more prompts or tokens to reach {MIN_SEC} s"),
    };
    format!("cycle {number} lasted {sec:.1} s{whose}; {advice}")
}

/// Returns the built-in prompt set of the experiment, if it does not have `times` the prompts that were used.
fn set_without(times: f64, spec: &Spec) -> Option<&DatasetPrompts> {
    let Prompts::Dataset(set) = &spec.prompts else {
        return None;
    };
    let size = set.set_size()?;
    let needed = times * f64::from(set.count.unwrap_or(size));
    (needed > f64::from(size) && !spec.is_open_load()).then_some(set)
}

/// Returns the advice for a set that has not enough prompts.
fn in_place_of_more_prompts(set: &DatasetPrompts, factor: Option<f64>) -> String {
    let work = factor.map_or_else(|| "many times".to_owned(), |times| format!("{times} times"));
    let size = set.set_size().unwrap_or_default();
    let larger = match size < LARGEST_SET.1 {
        true => format!("a larger set such as {}, ", LARGEST_SET.0),
        false => String::new(),
    };
    format!(
        "reaching {MIN_SEC} s takes {work} the work, but the set {} has {size} prompts, and num_cycles does not help: use \
         {larger}prompts.synthetic.count or more output tokens",
        set.dataset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate;
    use crate::fixtures::{host_cycle, rank_cycle, spec};

    #[test]
    fn ten_seconds_and_ten_samples_are_enough() {
        let mut host = host_cycle(0, 80.0, 1.0);
        host.energy.sources[0].sample_count = 10;
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        assert_eq!(check(&spec(1, 3), &cycles, &aggregate(&cycles, &[host]).cycles), None);
    }

    #[test]
    fn many_short_windows_are_one_warning_that_names_the_shortest() {
        let cycles = [
            rank_cycle(0, 0, 0.0, 3.0),
            rank_cycle(0, 1, 5.0, 7.0),
            rank_cycle(0, 2, 8.0, 11.0),
        ];
        let warning = check(&spec(1, 3), &cycles, &aggregate(&cycles, &[]).cycles).unwrap();
        assert_eq!(warning.code, WarningCode::ShortWindow);
        assert!(
            warning
                .message
                .starts_with("cycle 1 lasted 2.0 s; use 5 times the prompts or tokens to reach 10 s"),
            "{}",
            warning.message
        );
        let of_ranks = [rank_cycle(0, 0, 0.0, 9.0), rank_cycle(1, 0, 0.0, 2.8)];
        let warning = check(&spec(2, 1), &of_ranks, &aggregate(&of_ranks, &[]).cycles).unwrap();
        assert!(
            warning
                .message
                .starts_with("cycle 0 lasted 2.8 s on rank 1; use 4 times"),
            "{}",
            warning.message
        );
        let at_once = [rank_cycle(0, 0, 0.0, 0.0)];
        let warning = check(&spec(1, 1), &at_once, &aggregate(&at_once, &[]).cycles).unwrap();
        assert!(warning.message.contains("use many more prompts"), "{}", warning.message);
    }

    #[test]
    fn the_advice_names_what_helps_where_a_built_in_set_has_not_enough_prompts() {
        let advice = |dataset: &str, count: u32, sec: f64| {
            let mut spec = spec(1, 1);
            spec.prompts = Prompts::Dataset(DatasetPrompts {
                dataset: dataset.to_owned(),
                count: Some(count),
            });
            let cycles = [rank_cycle(0, 0, 0.0, sec)];
            check(&spec, &cycles, &aggregate(&cycles, &[]).cycles).unwrap().message
        };
        assert!(advice("short-32", 8, 2.5).contains("use 4 times the prompts or tokens"));
        let small = advice("short-32", 8, 2.0);
        for part in [
            "takes 5 times the work",
            "short-32 has 32 prompts",
            "num_cycles does not help",
            "mixed-512, prompts.synthetic.count or more output tokens",
        ] {
            assert!(small.contains(part), "{part} is not in {small}");
        }
        let largest = advice("mixed-512", 512, 1.0);
        assert!(largest.contains("use prompts.synthetic.count or"), "{largest}");
        let at_once = advice("long-16", 16, 0.0);
        assert!(at_once.contains("takes many times the work"), "{at_once}");
    }

    #[test]
    fn few_samples_in_a_long_window_are_noticed() {
        let mut host = host_cycle(0, 80.0, 1.0);
        host.energy.sources[0].sample_count = 9;
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        let warning = check(&spec(1, 3), &cycles, &aggregate(&cycles, &[host]).cycles).unwrap();
        assert!(
            warning.message.contains("intel-rapl:0 was sampled 9 times in cycle 0"),
            "{}",
            warning.message
        );
    }
}
