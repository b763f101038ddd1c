mod conditions;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::super::subject::Turns;
use super::*;
use crate::comparison::{CpuSettings, MeasuredResult};
use crate::fixtures::{gpu_source, machine, package_source, spec};
use crate::metrics::{all, find};
use joulemark_experiment::report::{CycleReport, EfficiencyMetrics};
use joulemark_experiment::{PromptIdentity, Spec};
use joulemark_measurement::{
    ComputeMetrics, EnergyMethod, EnergyMetrics, EnergySourceKind, InferenceMetrics, SourceReading,
};

/// Creates a cycle of 100 output tokens with this energy, half of it of one GPU and half of one package.
fn cycle(number: u32, joules: f64) -> CycleReport {
    let reading = |source: SourceReading| SourceReading {
        energy_j: Some(joules / 2.0),
        counted_in_total: true,
        uncertainty_j: Some(joules / 100.0),
        ..source
    };
    let mut energy = EnergyMetrics {
        total_energy_j: Some(joules),
        gpu_energy_j: Some(joules / 2.0),
        cpu_energy_j: Some(joules / 2.0),
        host_cpu_energy_j: Some(joules / 2.0),
        sources: vec![
            SourceReading {
                instrument_accuracy_percent: Some(5.0),
                ..reading(gpu_source("GPU-a", joules))
            },
            reading(package_source(joules)),
        ],
        ..EnergyMetrics::default()
    };
    energy.set_uncertainties();
    CycleReport {
        cycle: number,
        inference: InferenceMetrics {
            input_tokens: Some(40),
            output_tokens: Some(100),
            output_throughput: Some(1000.0 / joules),
            mean_ttft_ms: Some(joules),
            ..InferenceMetrics::default()
        },
        energy,
        compute: ComputeMetrics::default(),
        efficiency: EfficiencyMetrics {
            joules_per_output_token: Some(joules / 100.0),
            tokens_per_joule: Some(140.0 / joules),
            ..EfficiencyMetrics::default()
        },
    }
}

fn result(name: &str, joules: &[f64]) -> MeasuredResult {
    let spec = spec(1, joules.len() as u32);
    MeasuredResult {
        power_limit_w: None,
        cpu: CpuSettings::default(),
        name: name.to_owned(),
        host: machine().hostname,
        is_partial: false,
        is_stopped_by_rule: false,
        cycles: (0..)
            .zip(joules)
            .map(|(number, joules)| cycle(number, *joules))
            .collect(),
        eos: spec.eos_in_process(),
        prompts: PromptIdentity::of(&spec, None, None),
        spec,
    }
}

const BY_ENERGY: [&str; 2] = ["joules_per_output_token", "mean_ttft_ms"];

fn compared_in(names: &[&str], results: &[&MeasuredResult], force: bool) -> ComparisonAnswer {
    let metrics: Vec<_> = names.iter().map(|name| find(all(), name).expect("a metric")).collect();
    let subjects: Vec<_> = results.iter().map(|result| Subject::new(result, &metrics)).collect();
    let options = ComparisonOptions {
        margin: DEFAULT_MARGIN,
        force,
    };
    compare(&subjects[0], &subjects[1..], &options)
}

fn compared(baseline: &MeasuredResult, candidate: &MeasuredResult) -> ComparisonAnswer {
    compared_in(&BY_ENERGY, &[baseline, candidate], false)
}

fn notes(comparison: &Comparison) -> String {
    comparison.notes.join("\n")
}

const A: [f64; 4] = [50.0, 51.0, 49.0, 50.5];

#[test]
fn a_third_fewer_joules_are_better_and_the_same_turned_round_worse() {
    let (one, other) = (result("a", &A), result("b", &A.map(|joules| joules * 0.66)));
    let found = compared_in(&DEFAULT_METRICS, &[&one, &other], false);
    let names: Vec<_> = found.comparisons.iter().map(|of| of.metric.as_str()).collect();
    let expected = [
        "output_throughput",
        "mean_ttft_ms",
        "joules_per_output_token",
        "tokens_per_joule",
    ];
    assert_eq!(names, expected);
    for of in &found.comparisons {
        assert_eq!(
            (of.verdict, of.test),
            (Some(Verdict::Better), Some(ComparisonTest::Welch))
        );
        assert_eq!((of.baseline.as_str(), of.candidate.as_str()), ("a", "b"));
        assert!(of.ci_low < Some(of.ratio) && Some(of.ratio) < of.ci_high, "{of:?}");
        assert!((of.candidate_mean / of.baseline_mean - of.ratio).abs() < 1e-12);
        assert!(of.p_value < of.p_adjusted && of.notes.is_empty(), "{of:?}");
    }
    assert!((found.comparisons[2].ratio - 0.66).abs() < 1e-12);
    assert_eq!(
        (found.comparisons[2].unit.as_str(), found.comparisons[2].n_candidate),
        ("J/token", 4)
    );
    assert_eq!(found.not_compared.len(), 1);
    let of = &found.not_compared[0];
    assert_eq!((of.metric.as_str(), of.candidate.as_str()), ("mean_tpot_ms", "b"));
    assert!(of.reason.contains("null in cycle 0"), "{}", of.reason);

    let turned = compared(&other, &one);
    assert!(turned.comparisons.iter().all(|of| of.verdict == Some(Verdict::Worse)));
}

#[test]
fn a_small_difference_is_equivalent_even_where_it_is_significant_and_few_cycles_say_nothing() {
    let tight: Vec<f64> = (0..20).map(|cycle| 50.0 + 0.01 * f64::from(cycle % 3)).collect();
    let (one, other) = (
        result("a", &tight),
        result("b", &tight.iter().map(|joules| joules * 1.005).collect::<Vec<_>>()),
    );
    let of = &compared(&one, &other).comparisons[0];
    assert!(of.p_adjusted < Some(1e-6), "{of:?}");
    assert_eq!(of.verdict, Some(Verdict::Equivalent));
    let of = &compared(&result("a", &[50.0, 55.0]), &result("b", &[52.0, 56.0])).comparisons[0];
    assert_eq!(of.verdict, Some(Verdict::Inconclusive));
}

#[test]
fn a_metric_without_a_better_direction_has_no_verdict() {
    let (one, other) = (result("a", &A), result("b", &A.map(|joules| joules * 2.0)));
    let found = compared_in(&["host_cpu_energy_j"], &[&one, &other], false);
    let of = &found.comparisons[0];
    assert_eq!((of.verdict, of.p_adjusted.is_some()), (None, true), "{of:?}");
}

#[test]
fn one_cycle_alone_has_a_ratio_and_no_interval_and_even_ones_no_scatter() {
    for (one, other, why) in [
        (&A[..], &[40.0][..], "two cycles"),
        (&[50.0], &[40.0], "two cycles"),
        (&[50.0, 50.0], &[40.0, 40.0], "do not differ at all"),
    ] {
        let found = compared(&result("a", one), &result("b", other));
        let of = &found.comparisons[0];
        let unknown = (of.ci_low, of.ci_high, of.test, of.p_value, of.p_adjusted);
        assert_eq!(unknown, (None, None, None, None, None));
        assert!(of.ratio < 0.81 && notes(of).contains(why), "{of:?}");
        assert_eq!(of.verdict, Some(Verdict::Inconclusive));
    }
}

#[test]
fn figures_without_a_logarithm_are_not_compared() {
    for wrong in [0.0, -1.0] {
        let mut other = result("b", &A);
        other.cycles[2].inference.mean_ttft_ms = Some(wrong);
        let found = compared(&result("a", &A), &other);
        assert_eq!((found.comparisons.len(), found.not_compared.len()), (1, 1));
        let reason = &found.not_compared[0].reason;
        assert!(
            reason.contains(&format!("{wrong} in cycle 2")) && reason.contains("above 0"),
            "{reason}"
        );
    }
    let found = compared(&result("a", &A), &result("b", &[]));
    assert!(found.not_compared[0].reason.contains("no cycles"));
}

#[test]
fn results_of_different_work_are_not_compared_unless_by_force() {
    let one = result("a", &A);
    let longer = Spec {
        max_output_tokens: 8,
        raw_prompt: true,
        ..one.spec.clone()
    };
    let mut other = result("b", &A.map(|joules| joules * 0.5));
    other.eos = longer.eos_in_process();
    other.prompts = PromptIdentity::of(&longer, None, None);
    other.spec = longer;
    let found = compared(&one, &other);
    assert_eq!((found.comparisons.len(), found.not_compared.len()), (0, 2));
    let said = [
        "different prompts",
        "max_output_tokens is 4",
        "ignored in the baseline, masked",
    ];
    for word in said {
        assert!(
            found.not_compared.iter().all(|of| of.reason.contains(word)),
            "{found:?}"
        );
    }
    let forced = compared_in(&BY_ENERGY, &[&one, &other], true);
    for of in &forced.comparisons {
        assert_eq!(
            of.notes
                .iter()
                .filter(|note| note.starts_with("compared by force: "))
                .count(),
            3
        );
        assert_eq!(of.verdict, Some(Verdict::Better));
    }
}

#[test]
fn only_goodput_is_not_compared_where_the_objectives_differ() {
    let with = |ttft_ms: f64| {
        let mut found = result("a", &A);
        for cycle in &mut found.cycles {
            cycle.inference.goodput = Some(1.0);
        }
        found.spec.slo = serde_json::from_value(json!({"ttft_ms": ttft_ms})).expect("a bound");
        found
    };
    let found = compared_in(&["goodput", "mean_ttft_ms"], &[&with(10.0), &with(20.0)], false);
    let (one, other) = (&found.comparisons[..], &found.not_compared[..]);
    assert!(matches!((one, other), ([one], [other]) if one.metric == "mean_ttft_ms" && other.metric == "goodput"));
    assert!(found.not_compared[0].reason.contains("level objectives"), "{found:?}");
}

#[test]
fn unknown_prompts_may_differ() {
    let (one, mut other) = (result("a", &A), result("b", &A));
    other.prompts = None;
    for (one, other) in [(&one, &other), (&other, &one)] {
        let reason = &compared(one, other).not_compared[0].reason;
        assert!(reason.contains("may differ"), "{reason}");
    }
}

fn by_method(result: &mut MeasuredResult, source: usize, method: EnergyMethod) {
    for cycle in &mut result.cycles {
        cycle.energy.sources[source].method = method;
    }
}

#[test]
fn energies_of_different_sources_or_parts_are_not_compared_but_times_are() {
    let one = result("a", &A);
    let mut polled = result("b", &A);
    by_method(&mut polled, 0, EnergyMethod::PowerIntegration);
    let mut bounded = result("c", &A);
    for cycle in &mut bounded.cycles {
        cycle.energy.cpu_energy_j = None;
    }
    for (other, why) in [
        (
            &polled,
            "GPUs by a counter in the baseline, by polled power in the candidate",
        ),
        (
            &bounded,
            "different boundary: the energy of GPUs, CPU packages in the baseline, of GPUs in the candidate",
        ),
    ] {
        let found = compared(&one, other);
        assert_eq!(found.comparisons[0].metric, "mean_ttft_ms");
        assert_eq!(found.not_compared[0].metric, "joules_per_output_token");
        assert!(
            found.not_compared[0].reason.contains(why),
            "{}",
            found.not_compared[0].reason
        );
    }
    bounded.cycles[1].energy.cpu_energy_j = Some(1.0);
    let reason = &compared(&one, &bounded).not_compared[0].reason;
    assert!(
        reason.contains("GPUs in cycle 0 and GPUs, CPU packages in cycle 1"),
        "{reason}"
    );
}

fn width(comparison: &Comparison) -> f64 {
    (comparison.ci_high.expect("known") / comparison.ci_low.expect("known")).ln()
}

#[test]
fn a_different_host_or_different_sources_widen_only_the_intervals_of_energies() {
    let (one, near) = (result("a", &A), result("b", &A));
    let (mut far, mut beside) = (result("b", &A), result("b", &A));
    far.host = "bench-2".to_owned();
    for cycle in &mut beside.cycles {
        cycle.energy.sources[0].gpu_uuid = Some("GPU-b".to_owned());
    }
    let same = compared(&one, &near).comparisons;
    for (other, what) in [(&far, "the hosts differ"), (&beside, "the sources of energy differ")] {
        let found = compared(&one, other).comparisons;
        assert!(notes(&found[0]).contains(what), "{:?}", found[0]);
        assert!(
            notes(&found[0]).contains("makers state none"),
            "the packages': {:?}",
            found[0]
        );
        // The half-width of reading is 2 % of the energy at 95 %, the accuracy of the GPU's maker 5 % of half of it.
        // Both count twice, once for each result.
        let off = (0.02_f64 / 1.96).hypot(0.025 / 3.0_f64.sqrt()) * 2.0_f64.sqrt();
        let wanted = 2.0 * 1.97 * (width(&same[0]) / 2.0 / 2.447).hypot(off);
        assert!(
            (width(&found[0]) - wanted).abs() < 0.02 * wanted,
            "{} is not {wanted}",
            width(&found[0])
        );
        assert_eq!(width(&found[1]), width(&same[1]), "no energy is in it");
    }
    assert!(notes(&compared(&one, &far).comparisons[1]).contains("bench-1 and bench-2"));

    for cycle in &mut far.cycles {
        cycle.energy.sources[1].uncertainty_j = None;
        cycle.energy.cpu_energy_uncertainty_j = None;
    }
    let of = &compared(&one, &far).comparisons[0];
    assert_eq!(
        (of.ci_low, of.p_value, of.verdict),
        (None, None, Some(Verdict::Inconclusive))
    );
    assert!(notes(of).contains("their size is unknown"), "{of:?}");
}

#[test]
fn two_estimates_are_compared_and_the_note_says_so() {
    let (mut one, mut other) = (result("a", &A), result("b", &A.map(|joules| joules * 2.0)));
    for result in [&mut one, &mut other] {
        by_method(result, 1, EnergyMethod::Estimate);
        for cycle in &mut result.cycles {
            cycle.energy.sources[1].source = EnergySourceKind::TdpEstimate;
        }
    }
    let of = &compared(&one, &other).comparisons[0];
    assert_eq!(of.verdict, Some(Verdict::Worse));
    assert!(notes(of).contains("two estimates are compared"), "{of:?}");
}

#[test]
fn remarks_name_what_weakens_a_result() {
    let (mut one, mut other) = (
        result("a", &A),
        result("b", &[40.0, 41.0, 42.0, 43.0, 44.0, 45.0, 46.0, 47.0, 48.0]),
    );
    one.is_partial = true;
    other.is_stopped_by_rule = true;
    other.cycles[0].inference.input_tokens = Some(41);
    let said = notes(&compared(&one, &other).comparisons[0]);
    for word in [
        "baseline was cancelled",
        "stop rule ended the candidate",
        "candidate's cycles depend",
        "a cycle had 40",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn each_candidate_is_compared_with_the_baseline_and_adjusted_separately() {
    let (one, other) = (result("a", &A), result("b", &A.map(|joules| joules * 1.03)));
    let alone = compared(&one, &other);
    let third = result("c", &A.map(|joules| joules * 1.2));
    let both = compared_in(&BY_ENERGY, &[&one, &other, &third], false);
    assert_eq!(both.comparisons[..2], alone.comparisons[..]);
    let candidates: Vec<_> = both.comparisons.iter().map(|of| of.candidate.as_str()).collect();
    assert_eq!(candidates, ["b", "b", "c", "c"]);
}

#[test]
fn measurements_in_turns_are_compared_in_pairs() {
    let drifting: Vec<f64> = (0..8)
        .map(|cycle| 50.0 + f64::from(cycle) + 0.01 * f64::from(cycle % 3))
        .collect();
    let later: Vec<f64> = (0..8)
        .map(|cycle| 1.03 * (50.0 + f64::from(cycle)) + 0.02 * f64::from(cycle % 2))
        .collect();
    let metrics = [find(all(), "mean_ttft_ms").expect("a metric")];
    let subjects = [result("a", &drifting), result("b", &later)].map(|result| Subject::new(&result, &metrics));
    let options = ComparisonOptions {
        margin: DEFAULT_MARGIN,
        force: false,
    };
    let under = |subjects: &[Subject]| compare(&subjects[0], &subjects[1..], &options).comparisons.remove(0);
    let by_turns = subjects.clone().map(|subject| Subject {
        turns: Some(Turns {
            among: "a sweep".to_owned(),
            turn: (0..8).collect(),
        }),
        ..subject
    });
    let (apart, by_turns) = (under(&subjects), under(&by_turns));
    assert_eq!(apart.verdict, Some(Verdict::Inconclusive));
    assert_eq!(
        (by_turns.verdict, by_turns.test),
        (Some(Verdict::Worse), Some(ComparisonTest::PairedT))
    );
}

/// Draws a result whose figures deviate independently by 1 % from cycle to cycle, and whose joules are larger by a
/// factor.
fn drawn(random: &mut ChaCha8Rng, name: &str, joules: f64) -> MeasuredResult {
    let mut drawn = result(name, &[50.0; 10]);
    let mut around = |middle: f64| Some(middle * (0.01 * normal(random)).exp());
    for cycle in &mut drawn.cycles {
        cycle.inference.output_throughput = around(40.0);
        cycle.inference.mean_ttft_ms = around(30.0);
        cycle.inference.mean_tpot_ms = around(25.0);
        cycle.efficiency.joules_per_output_token = around(0.5 * joules);
        cycle.efficiency.tokens_per_joule = cycle.efficiency.joules_per_output_token.map(|joules| 1.4 / joules);
    }
    drawn
}

/// Draws from a normal distribution, as the sum of twelve uniform numbers, which is accurate within three deviations.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random_range(-0.5..0.5)).sum()
}

#[test]
fn equal_results_seldom_differ_and_a_difference_of_three_percent_is_found() {
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let metrics: Vec<_> = DEFAULT_METRICS.iter().filter_map(|name| find(all(), name)).collect();
    let mut pairs = |count: u32, joules: f64, margin: f64, holds: fn(&Comparison) -> bool| {
        let options = ComparisonOptions { margin, force: false };
        let mut found = 0;
        for _ in 0..count {
            let [one, other] = [("a", 1.0), ("b", joules)].map(|(name, joules)| drawn(&mut random, name, joules));
            let [one, other] = [one, other].map(|result| Subject::new(&result, &metrics));
            found += u32::from(compare(&one, &[other], &options).comparisons.iter().any(holds));
        }
        found
    };
    // With this margin no figures are equivalent, so every false difference counts.
    let differ = pairs(1000, 1.0, 1e-9, |of| {
        matches!(of.verdict, Some(Verdict::Better | Verdict::Worse))
    });
    assert!((10..=64).contains(&differ), "{differ} of 1,000 equal pairs differ");
    let is_worse = |of: &Comparison| of.metric == "joules_per_output_token" && of.verdict == Some(Verdict::Worse);
    let found = pairs(200, 1.03, DEFAULT_MARGIN, is_worse);
    assert!(found >= 180, "3 % are found in {found} of 200 pairs");
}

#[test]
fn repeats_are_units_and_are_paired_by_the_turns_that_both_have() {
    let metrics = [find(all(), "mean_ttft_ms").expect("a metric")];
    let of = |name: &str, each: &[(u32, f64)], among: Option<&str>| {
        let results: Vec<_> = each
            .iter()
            .map(|(_, joules)| result(name, &[*joules, *joules * 1.1]))
            .collect();
        let turns = among.map(|among| Turns {
            among: among.to_owned(),
            turn: each.iter().map(|(turn, _)| *turn).collect(),
        });
        Subject::of_repeats(name, &results, &metrics, turns).expect("results")
    };
    let options = ComparisonOptions {
        margin: DEFAULT_MARGIN,
        force: false,
    };
    let (one, other) = ([(0, 50.0), (1, 60.0), (2, 70.5)], [(2, 72.0), (0, 51.0), (3, 90.0)]);
    let paired = compare(&of("s/0", &one, Some("s")), &[of("s/1", &other, Some("s"))], &options);
    let found = &paired.comparisons[0];
    assert_eq!(
        (found.test, found.n_baseline, found.n_candidate),
        (Some(ComparisonTest::PairedT), 2, 2)
    );
    for (among, of_other) in [(None, Some("s")), (Some("t"), Some("s")), (None, None)] {
        let apart = compare(&of("s/0", &one, among), &[of("s/1", &other, of_other)], &options);
        let found = &apart.comparisons[0];
        assert_eq!(
            (found.test, found.n_baseline, found.n_candidate),
            (Some(ComparisonTest::Welch), 3, 3)
        );
    }
    assert!(Subject::of_repeats("none", &[], &metrics, None).is_none());
}
