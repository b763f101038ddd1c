//! Estimates of an experiment's duration from similar runs, and of a run's remaining time from its own pace.

use crate::statistics::median;
use joulemark_experiment::report::Report;
use joulemark_experiment::{
    ClosedLoad, Device, Distribution, DurationEstimate, DurationMethod, FpPrecision, Load, PromptLine, Prompts, Spec,
};

/// Maximum number of past runs that are used, the newest first.
const MAX_RUNS: usize = 10;
/// Largest ratio of two lengths that count as the same: beyond it the time per token differs.
const SAME_LENGTH: f64 = 4.0;
/// Approximate number of bytes of text per token.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Tokens of a chat template, by which short prompts may differ.
const TEMPLATE_TOKENS: f64 = 32.0;
/// Lower and upper end of the remaining time, as a share of the time that the warm-up predicts.
const BY_WARM_UP: [f64; 2] = [0.5, 2.0];
/// Lower and upper end of the remaining time, as a share of the time that finished cycles predict.
const BY_CYCLES: [f64; 2] = [0.75, 1.33];
/// Share by which the range is wider than that of the past runs, for one, two, and more runs.
const WIDENING: [f64; 3] = [0.5, 0.25, 0.1];

/// Settings of an experiment that determine its duration. Of its prompts it has only their length and number.
#[derive(Clone, Debug, PartialEq)]
pub struct RunShape {
    device: Device,
    num_processes: u32,
    distribution: Distribution,
    gpu_count: u32,
    batch_size: u32,
    load: Load,
    quantization: Option<String>,
    fp_precision: FpPrecision,
    prompts: PromptLength,
    /// Requests of one cycle, over all ranks; `None` for a data set of unknown size.
    requests: Option<f64>,
    num_cycles: f64,
    warmup_iterations: f64,
    idle_baseline_sec: f64,
    cooldown_sec: f64,
    min_output_tokens: f64,
    max_output_tokens: f64,
}

/// Length of an experiment's prompts.
#[derive(Clone, Debug, PartialEq)]
enum PromptLength {
    /// Mean length in tokens.
    Tokens(f64),
    /// Name of a data set, whose prompts are the same each time.
    OfSet(String),
}

impl RunShape {
    /// Returns the shape of an experiment.
    pub fn of(spec: &Spec) -> Self {
        Self {
            device: spec.device,
            num_processes: spec.num_processes,
            distribution: spec.distribution,
            gpu_count: spec.gpu_count.max(spec.gpus.len() as u32),
            batch_size: spec.batch_size,
            load: load_without_amount(spec),
            quantization: spec.quantization.clone(),
            fp_precision: spec.fp_precision,
            prompts: prompt_length(spec),
            requests: spec.requests_of_a_cycle().map(|count| count as f64),
            num_cycles: f64::from(spec.num_cycles),
            warmup_iterations: f64::from(spec.warmup_iterations),
            idle_baseline_sec: f64::from(spec.idle_baseline_sec),
            cooldown_sec: f64::from(spec.cooldown_sec),
            min_output_tokens: f64::from(spec.min_output_tokens),
            max_output_tokens: max_output_tokens(spec),
        }
    }

    /// Returns the first setting in which two shapes differ; `None` where they differ only in their amount of work.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            (self.device != other.device, "device"),
            (self.gpu_count != other.gpu_count, "number of GPUs"),
            (
                (self.num_processes, self.distribution) != (other.num_processes, other.distribution),
                "number of processes",
            ),
            (self.batch_size != other.batch_size, "batch size"),
            (self.load != other.load, "load"),
            (
                (&self.quantization, self.fp_precision) != (&other.quantization, other.fp_precision),
                "precision",
            ),
            (!self.prompts.is_like(&other.prompts), "length of prompts"),
            (
                !is_same_length(self.max_output_tokens, other.max_output_tokens),
                "length of answers",
            ),
        ];
        differs.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
    }
}

impl PromptLength {
    /// Returns whether two lengths count as the same.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tokens(one), Self::Tokens(other)) => is_same_length(one + TEMPLATE_TOKENS, other + TEMPLATE_TOKENS),
            (Self::OfSet(one), Self::OfSet(other)) => one == other,
            _ => false,
        }
    }
}

/// Returns the mean over the prompts, each of which may have its own maximum.
fn max_output_tokens(spec: &Spec) -> f64 {
    let count = spec.prompt_count().filter(|count| *count > 0);
    let of_all = spec.max_output_tokens_of_a_pass().zip(count);
    of_all.map_or(f64::from(spec.max_output_tokens), |(tokens, count)| {
        tokens as f64 / f64::from(count)
    })
}

/// Returns the load without its seed and its amount.
fn load_without_amount(spec: &Spec) -> Load {
    let mut load = spec.load.clone().unwrap_or(Load::Closed {
        closed: ClosedLoad {
            concurrency: spec.batch_size * spec.num_processes,
        },
    });
    match &mut load {
        Load::Closed { .. } => {}
        Load::Open { open } => (open.seed, open.duration_sec, open.requests) = (0, None, None),
        Load::Replay { replay } => {
            replay.requests = None;
            replay.due_sec.clear();
        }
    }
    load
}

/// Returns the length of an experiment's prompts.
fn prompt_length(spec: &Spec) -> PromptLength {
    if let (Some(file), Some(sha256)) = (&spec.prompt_source, &spec.prompt_source_sha256) {
        return PromptLength::OfSet(format!("{file} {sha256}"));
    }
    let mean_tokens = |bytes: u64, count: usize| bytes as f64 / BYTES_PER_TOKEN / (count.max(1) as f64);
    let lines = &spec.prompt_lines;
    let tokens = match &spec.prompts {
        _ if !lines.is_empty() => mean_tokens(lines.iter().map(PromptLine::bytes).sum(), lines.len()),
        Prompts::Texts(texts) => mean_tokens(texts.iter().map(|text| text.len() as u64).sum(), texts.len()),
        Prompts::Synthetic { synthetic } => f64::from(synthetic.input_tokens),
        Prompts::Dataset(set) => return PromptLength::OfSet(set.dataset.clone()),
    };
    PromptLength::Tokens(tokens.min(spec.max_input_tokens.map_or(f64::INFINITY, f64::from)))
}

/// Returns whether the ratio of two lengths is small enough to count as the same.
fn is_same_length(one: f64, other: f64) -> bool {
    one <= other * SAME_LENGTH && other <= one * SAME_LENGTH
}

/// A completed run, with what is needed to predict the duration of others.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    shape: RunShape,
    cpu_model: Option<String>,
    gpu_names: Vec<String>,
    output_tokens: f64,
    /// Whether its cycles lasted as long as requests arrived, regardless of the length of answers. This is so for an
    /// open load that the engine kept up with.
    is_paced: bool,
    measuring_sec: f64,
    warm_up_sec: f64,
    /// Time for loading, starting and summing up, in seconds.
    other_sec: f64,
}

impl PastRun {
    /// Returns the past run; `None` where its tokens or times are unknown.
    pub fn of(spec: &Spec, report: &Report) -> Option<Self> {
        let timing = &report.timing;
        let measured = timing.measuring_sec + timing.warm_up_sec + timing.idle_baseline_sec + timing.cooldown_sec;
        let output_tokens = report.inference.output_tokens.filter(|tokens| *tokens > 0)? as f64;
        let mut shape = RunShape::of(spec);
        shape.requests?;
        // A stop rule and repeated cycles change the number of cycles.
        shape.num_cycles = report.cycles.len().max(1) as f64;
        let run = Self {
            shape,
            cpu_model: report.machine.cpu_model.clone(),
            gpu_names: report.machine.gpu_names.clone(),
            output_tokens,
            is_paced: spec.is_open_load()
                && report
                    .load_report
                    .as_ref()
                    .is_some_and(|load| load.saturated != Some(true)),
            measuring_sec: timing.measuring_sec,
            warm_up_sec: timing.warm_up_sec,
            other_sec: (timing.total_sec - measured).max(0.0),
        };
        (run.measuring_sec > 0.0).then_some(run)
    }

    /// Returns the time in seconds that this run would have taken with the amount of work of `shape`, with `requests`
    /// in each cycle.
    fn scaled_sec(&self, shape: &RunShape, requests: f64) -> f64 {
        let own_requests = self.shape.requests.unwrap_or(1.0) * self.shape.num_cycles;
        // A model that ended its answers early is expected to do so again, up to the minimum length.
        let tokens_each = self.output_tokens / own_requests;
        let share = tokens_each / self.shape.max_output_tokens.max(1.0);
        let expected_each = (share * shape.max_output_tokens)
            .max(shape.min_output_tokens)
            .min(shape.max_output_tokens);
        let amount = requests * shape.num_cycles;
        let measuring = match self.is_paced {
            true => self.measuring_sec * amount / own_requests,
            false => self.measuring_sec * (expected_each * amount) / self.output_tokens,
        };
        let longer = expected_each / tokens_each;
        let warm_up = match self.shape.warmup_iterations {
            0.0 => shape.warmup_iterations * measuring / amount.max(1.0),
            iterations => self.warm_up_sec * longer * shape.warmup_iterations / iterations,
        };
        let cooling_down = shape.cooldown_sec * (shape.num_cycles - 1.0);
        self.other_sec + warm_up + shape.idle_baseline_sec + cooling_down + measuring
    }
}

/// Kind of the devices that an experiment will run on, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceKind {
    /// CPU model; `None` matches any.
    pub cpu_model: Option<String>,
    /// Names of the GPUs; empty matches any.
    pub gpu_names: Vec<String>,
}

impl DeviceKind {
    /// Returns whether a past run used devices of this kind.
    fn is_of(&self, run: &PastRun) -> bool {
        match run.shape.device {
            Device::Cpu => self.cpu_model.is_none() || self.cpu_model == run.cpu_model,
            _ => self.gpu_names.is_empty() || self.gpu_names == run.gpu_names,
        }
    }
}

/// Estimates the duration of an experiment from past runs of its model, which are sorted from newest to oldest.
pub fn duration_by_past_runs(shape: &RunShape, kind: &DeviceKind, runs: &[PastRun]) -> DurationEstimate {
    let Some(requests) = shape.requests else {
        return DurationEstimate::unknown("the number of prompts is not known yet");
    };
    let mut other = "device kind";
    let alike = runs.iter().filter(|run| match run.shape.difference(shape) {
        Some(what) => {
            other = what;
            false
        }
        None => kind.is_of(run),
    });
    let mut durations: Vec<f64> = alike
        .take(MAX_RUNS)
        .map(|run| run.scaled_sec(shape, requests))
        .collect();
    if durations.is_empty() {
        return DurationEstimate::unknown(match runs.len() {
            0 => "no run of this model was completed".to_owned(),
            count => format!("none of {count} completed runs of this model is similar: one differs in its {other}"),
        });
    }
    durations.sort_by(f64::total_cmp);
    let wider = WIDENING[durations.len().min(WIDENING.len()) - 1];
    DurationEstimate {
        duration_sec: median(&durations),
        least_sec: durations.first().map(|sec| sec * (1.0 - wider)),
        most_sec: durations.last().map(|sec| sec * (1.0 + wider)),
        method: Some(DurationMethod::PastRuns),
        runs: durations.len() as u32,
        reason: None,
    }
}

/// Estimates the duration of a run from its own pace.
pub fn duration_by_own_pace(elapsed_sec: f64, left_sec: f64, method: DurationMethod) -> DurationEstimate {
    let [least, most] = match method {
        DurationMethod::WarmUp => BY_WARM_UP,
        _ => BY_CYCLES,
    };
    DurationEstimate {
        duration_sec: Some(elapsed_sec + left_sec),
        least_sec: Some(elapsed_sec + least * left_sec),
        most_sec: Some(elapsed_sec + most * left_sec),
        method: Some(method),
        runs: 0,
        reason: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn closed(concurrency: u32) -> Load {
        Load::Closed {
            closed: ClosedLoad { concurrency },
        }
    }

    fn shape(requests: f64, max_output_tokens: f64) -> RunShape {
        RunShape {
            device: Device::Cpu,
            num_processes: 1,
            distribution: Distribution::Shard,
            gpu_count: 0,
            batch_size: 1,
            load: closed(1),
            quantization: None,
            fp_precision: FpPrecision::Auto,
            prompts: PromptLength::Tokens(100.0),
            requests: Some(requests),
            num_cycles: 2.0,
            warmup_iterations: 2.0,
            idle_baseline_sec: 2.0,
            cooldown_sec: 0.0,
            min_output_tokens: 0.0,
            max_output_tokens,
        }
    }

    /// Creates a run of 10 requests in each cycle, with all 50 tokens each, in 20 s. Loading and starting take 5 s,
    /// warm-up 1 s, other time 2 s.
    fn run() -> PastRun {
        PastRun {
            shape: shape(10.0, 50.0),
            cpu_model: Some("a CPU".to_owned()),
            gpu_names: Vec::new(),
            output_tokens: 1000.0,
            is_paced: false,
            measuring_sec: 20.0,
            warm_up_sec: 1.0,
            other_sec: 5.0,
        }
    }

    fn estimate(shape: &RunShape, runs: &[PastRun]) -> DurationEstimate {
        duration_by_past_runs(shape, &DeviceKind::default(), runs)
    }

    #[test]
    fn the_same_again_takes_as_long_and_more_tokens_in_proportion() {
        let same = estimate(&shape(10.0, 50.0), &[run()]);
        assert_eq!((same.duration_sec, same.runs), (Some(28.0), 1));
        assert_eq!((same.least_sec, same.most_sec), (Some(14.0), Some(42.0)));
        let more = estimate(&shape(30.0, 100.0), &[run(), run(), run()]);
        // Six times the tokens; each request of the warm-up is twice as long.
        assert_eq!((more.duration_sec, more.runs), (Some(5.0 + 2.0 + 2.0 + 120.0), 3));
        assert_eq!(more.method, Some(DurationMethod::PastRuns));
    }

    #[test]
    fn answers_that_end_early_end_as_early_again_unless_they_may_not() {
        let mut early = run();
        early.output_tokens = 500.0;
        assert_eq!(estimate(&shape(10.0, 50.0), &[early.clone()]).duration_sec, Some(28.0));
        let mut full = shape(10.0, 50.0);
        full.min_output_tokens = 50.0;
        assert_eq!(estimate(&full, &[early]).duration_sec, Some(5.0 + 2.0 + 2.0 + 40.0));
    }

    #[test]
    fn dissimilar_runs_give_no_estimate() {
        let nothing = estimate(&shape(1.0, 50.0), &[]);
        assert_eq!(nothing.reason.as_deref(), Some("no run of this model was completed"));
        let long = estimate(&shape(1.0, 5000.0), &[run()]);
        assert!(long.duration_sec.is_none() && long.reason.unwrap().ends_with("length of answers"));
        let mut unlike = shape(10.0, 50.0);
        unlike.prompts = PromptLength::OfSet("short-32".to_owned());
        assert!(
            estimate(&unlike, &[run()])
                .reason
                .unwrap()
                .ends_with("length of prompts")
        );
        let kind = DeviceKind {
            cpu_model: Some("another CPU".to_owned()),
            gpu_names: Vec::new(),
        };
        let other = duration_by_past_runs(&shape(10.0, 50.0), &kind, &[run()]);
        assert!(other.reason.unwrap().ends_with("device kind"));
        let mut unknown = shape(10.0, 50.0);
        unknown.requests = None;
        assert!(
            estimate(&unknown, &[run()])
                .reason
                .unwrap()
                .contains("number of prompts")
        );
    }

    #[test]
    fn only_runs_of_the_same_load_are_used_and_scaled_by_requests() {
        let of = |load: serde_json::Value| {
            let mut spec = crate::fixtures::spec(2, 1);
            spec.load = Some(serde_json::from_value(load).expect("a load"));
            RunShape::of(&spec).load
        };
        let open = |rate: f64, requests: u32| {
            of(serde_json::json!({"open": {"rate_per_sec": rate, "requests": requests, "seed": requests}}))
        };
        assert_eq!(RunShape::of(&crate::fixtures::spec(2, 1)).load, closed(2));
        assert_eq!(open(2.0, 10), open(2.0, 30));
        assert_ne!(open(2.0, 10), open(4.0, 10));
        let of_load = |load: Load, requests: f64, tokens: f64| RunShape {
            load,
            ..shape(requests, tokens)
        };
        let run = PastRun {
            shape: of_load(open(2.0, 10), 10.0, 50.0),
            is_paced: true,
            ..run()
        };
        let unlike = estimate(&of_load(open(4.0, 10), 10.0, 50.0), std::slice::from_ref(&run));
        assert!(unlike.reason.unwrap().ends_with("its load"));
        // Three times the requests last three times as long, with answers of twice the length as well.
        let more = estimate(&of_load(open(2.0, 30), 30.0, 100.0), &[run]);
        assert_eq!(more.duration_sec, Some(5.0 + 2.0 + 2.0 + 60.0));
    }

    #[test]
    fn prompts_of_a_file_and_one_by_one_have_their_own_lengths() {
        let mut spec = crate::fixtures::spec(1, 1);
        spec.prompts = Prompts::Texts(Vec::new());
        spec.max_output_tokens = 100;
        let line = |max_output_tokens| PromptLine {
            input_length: None,
            prompt: Some("x".repeat(400)),
            messages: None,
            max_output_tokens,
        };
        spec.prompt_lines = vec![line(Some(20)), line(None)];
        let shape = RunShape::of(&spec);
        assert_eq!((shape.requests, shape.max_output_tokens), (Some(2.0), 60.0));
        assert_eq!(shape.prompts, PromptLength::Tokens(100.0));
        spec.prompt_lines.clear();
        spec.prompt_source = Some("chats.jsonl".to_owned());
        spec.prompt_source_sha256 = Some("ab".to_owned());
        spec.prompt_source_count = Some(7);
        let shape = RunShape::of(&spec);
        assert_eq!(
            (shape.requests, shape.prompts),
            (Some(7.0), PromptLength::OfSet("chats.jsonl ab".to_owned()))
        );
    }

    #[test]
    fn a_runs_own_pace_tells_what_is_left_and_the_cycles_tell_it_better() {
        let of = |method| {
            let estimate = duration_by_own_pace(10.0, 20.0, method);
            (estimate.duration_sec, estimate.least_sec, estimate.most_sec)
        };
        assert_eq!(of(DurationMethod::WarmUp), (Some(30.0), Some(20.0), Some(50.0)));
        assert_eq!(of(DurationMethod::MeasuredCycles), (Some(30.0), Some(25.0), Some(36.6)));
    }

    proptest! {
        #[test]
        fn the_range_holds_the_estimate(factors in prop::collection::vec(0.1_f64..10.0, 1..15), requests in 1.0_f64..1000.0) {
            let runs: Vec<_> = factors.iter().map(|factor| PastRun { measuring_sec: 20.0 * factor, ..run() }).collect();
            let made = estimate(&shape(requests, 60.0), &runs);
            let (least, sec, most) = (made.least_sec.unwrap(), made.duration_sec.unwrap(), made.most_sec.unwrap());
            prop_assert!(0.0 < least && least <= sec && sec <= most, "{} {} {}", least, sec, most);
            prop_assert!(made.runs as usize <= MAX_RUNS);
        }
    }
}
