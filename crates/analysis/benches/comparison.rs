//! Error rates of verdicts on simulated cycles with a known truth. It takes seconds:
//!
//!     cargo bench -p joulemark-analysis --bench comparison
//!
//! Throughput, time to first token, time per token and joules of a cycle are correlated like real ones: half of the
//! variance of each is a common factor, such as a machine that is sometimes faster and sometimes slower.

use std::collections::BTreeMap;

use joulemark_analysis::comparison::{
    ComparisonOptions, CpuSettings, DEFAULT_MARGIN, DEFAULT_METRICS, MeasuredResult, Subject, compare,
};
use joulemark_analysis::metrics::{Metric, all, find};
use joulemark_experiment::comparison::Verdict;
use joulemark_experiment::report::{CycleReport, EfficiencyMetrics};
use joulemark_experiment::{DecoderRequest, Device, ExperimentRequest, PromptIdentity, Prompts, Resolved, Spec};
use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const PAIRS: u32 = 10_000;
const DEVIATION: f64 = 0.01;

/// With this margin no figures are equivalent, so every difference that the test finds shows.
const NO_MARGIN: f64 = 1e-9;

/// Parameters of the pairs to draw.
#[derive(Clone, Copy)]
struct Drawn {
    cycles: u32,
    /// Additional energy of the candidate, as a share; everything else is equal.
    difference: f64,
    margin: f64,
}

fn main() {
    let metrics: Vec<_> = DEFAULT_METRICS.iter().filter_map(|name| find(all(), name)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(22);
    println!("share of {PAIRS} pairs in %; cycles deviate by 1 % (log-normal), margin 2 %");
    println!("cycles  joules   any metric better or worse: joules worse  equivalent  inconclusive");
    println!("                 at margin 2 %     without");
    for cycles in [3, 5, 10, 20] {
        for difference in [0.0, 0.01, 0.02, 0.03, 0.05] {
            let drawn = Drawn {
                cycles,
                difference,
                margin: DEFAULT_MARGIN,
            };
            let found = Shares::of(&mut random, &metrics, drawn);
            let bare = Shares::of(
                &mut random,
                &metrics,
                Drawn {
                    margin: NO_MARGIN,
                    ..drawn
                },
            );
            println!(
                "{cycles:>6}  +{:<3} %  {:>13.1}  {:>10.1}  {:>13.1}  {:>10.1}  {:>12.1}",
                100.0 * difference,
                found.any,
                bare.any,
                found.worse,
                found.equivalent,
                found.open
            );
        }
    }
    promised(&mut random, &metrics);
}

/// Prints the documented error rates, with the documented numbers of pairs.
fn promised(random: &mut ChaCha8Rng, metrics: &[&'static Metric]) {
    let equal = Drawn {
        cycles: 10,
        difference: 0.0,
        margin: NO_MARGIN,
    };
    let differ = (0..1000)
        .filter(|_| is_judged_other(&verdicts(random, metrics, equal)))
        .count();
    println!(
        "\nequal ones, 10 cycles, without a margin: {differ} of 1,000 better or worse in any metric; at most 64 may be"
    );
    let planted = Drawn {
        difference: 0.03,
        margin: DEFAULT_MARGIN,
        ..equal
    };
    let is_worse = |found: &Verdicts| found[JOULES] == Some(Verdict::Worse);
    let found = (0..200)
        .filter(|_| is_worse(&verdicts(random, metrics, planted)))
        .count();
    println!("3 % more joules, 10 cycles, margin 2 %: {found} of 200 found; at least 180 must be");
}

const JOULES: &str = "joules_per_output_token";

/// Verdict on each metric.
type Verdicts = BTreeMap<String, Option<Verdict>>;

/// Shares of verdicts in percent of the pairs.
struct Shares {
    any: f64,
    worse: f64,
    equivalent: f64,
    open: f64,
}

impl Shares {
    fn of(random: &mut ChaCha8Rng, metrics: &[&'static Metric], drawn: Drawn) -> Self {
        let all: Vec<_> = (0..PAIRS).map(|_| verdicts(random, metrics, drawn)).collect();
        let share = |holds: &dyn Fn(&Verdicts) -> bool| {
            100.0 * all.iter().filter(|found| holds(found)).count() as f64 / f64::from(PAIRS)
        };
        let of_joules = |verdict| share(&|found| found[JOULES] == Some(verdict));
        Self {
            any: share(&is_judged_other),
            worse: of_joules(Verdict::Worse),
            equivalent: of_joules(Verdict::Equivalent),
            open: of_joules(Verdict::Inconclusive),
        }
    }
}

fn is_judged_other(found: &Verdicts) -> bool {
    found
        .values()
        .any(|verdict| matches!(verdict, Some(Verdict::Better | Verdict::Worse)))
}

fn verdicts(random: &mut ChaCha8Rng, metrics: &[&'static Metric], drawn: Drawn) -> Verdicts {
    let [baseline, candidate] = [("A", 1.0), ("B", 1.0 + drawn.difference)].map(|(name, joules)| {
        let cycles = (0..drawn.cycles).map(|number| cycle(random, number, joules)).collect();
        Subject::new(&result(name, cycles), metrics)
    });
    let options = ComparisonOptions {
        margin: drawn.margin,
        force: false,
    };
    let found = compare(&baseline, &[candidate], &options);
    assert_eq!(found.comparisons.len(), metrics.len(), "{:?}", found.not_compared);
    found
        .comparisons
        .into_iter()
        .map(|of| (of.metric, of.verdict))
        .collect()
}

fn cycle(random: &mut ChaCha8Rng, number: u32, joules: f64) -> CycleReport {
    let common = normal(random);
    let mut around = |middle: f64, sign: f64| {
        let scatter = (sign * common + normal(random)) * 0.5_f64.sqrt();
        Some(middle * (DEVIATION * scatter).exp())
    };
    let throughput = around(40.0, -1.0);
    let ttft = around(30.0, 1.0);
    let tpot = around(25.0, 1.0);
    let joules_per_output_token = around(0.5 * joules, 1.0);
    CycleReport {
        cycle: number,
        inference: InferenceMetrics {
            output_throughput: throughput,
            mean_ttft_ms: ttft,
            mean_tpot_ms: tpot,
            ..InferenceMetrics::default()
        },
        energy: EnergyMetrics::default(),
        compute: ComputeMetrics::default(),
        efficiency: EfficiencyMetrics {
            joules_per_output_token,
            tokens_per_joule: joules_per_output_token.map(|joules| 1.5 / joules),
            ..EfficiencyMetrics::default()
        },
    }
}

fn result(name: &str, cycles: Vec<CycleReport>) -> MeasuredResult {
    let spec = spec();
    MeasuredResult {
        power_limit_w: None,
        cpu: CpuSettings::default(),
        name: name.to_owned(),
        host: "simulated".to_owned(),
        is_partial: false,
        is_stopped_by_rule: false,
        cycles,
        eos: spec.eos_in_process(),
        prompts: PromptIdentity::of(&spec, None, None),
        spec,
    }
}

fn spec() -> Spec {
    ExperimentRequest::default().filled(Resolved {
        config_name: "simulated".to_owned(),
        model_name: "simulated".to_owned(),
        prompts: Prompts::Texts(vec!["hello".to_owned()]),
        decoder: DecoderRequest::default().filled(),
        num_processes: 1,
        gpus: Vec::new(),
        gpu_count: 0,
        device: Device::Cpu,
        engine: "mistral".to_owned(),
        engine_arguments: BTreeMap::new(),
    })
}

/// Draws from a normal distribution by Marsaglia's polar method.
fn normal(random: &mut impl Rng) -> f64 {
    loop {
        let (x, y) = (random.random_range(-1.0..1.0_f64), random.random_range(-1.0..1.0_f64));
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * square.ln() / square).sqrt();
        }
    }
}
