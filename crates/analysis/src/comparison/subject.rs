use super::cpu_settings::CpuSettings;
use super::instrument::Instrument;
use super::measured::MeasuredResult;
use crate::intervals::lag1_autocorrelation;
use crate::metrics::Metric;
use crate::repetition::number;
use crate::statistics::mean;
use joulemark_experiment::report::CycleReport;
use joulemark_experiment::{Load, PromptIdentity, Slo, Spec};
use joulemark_measurement::EosHandling;

/// Figures of a result that are compared, and the conditions under which they were measured. Unlike the result's
/// documents, which may have megabytes, it is small.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub host: String,
    pub(super) is_partial: bool,
    pub(super) is_stopped_by_rule: bool,
    pub(super) conditions: Conditions,
    /// Unit of repetition: `cycles`, or `repeats` of a whole experiment.
    pub(super) unit: &'static str,
    /// Turns in which the units were measured; `None` for a result outside a sweep.
    pub(super) turns: Option<Turns>,
    /// Mean input and output tokens of a cycle.
    pub(super) tokens: Option<(f64, f64)>,
    /// One series for each metric, in the requested order.
    pub(super) series: Vec<Series>,
}

/// Turns in which units were measured: the first unit of each point, then the second unit of each, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Identity of the sweep whose points took turns.
    pub among: String,
    /// Turn of each unit.
    pub turn: Vec<u32>,
}

/// Conditions that determine the measured work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conditions {
    pub prompts: Option<PromptIdentity>,
    pub min_output_tokens: u32,
    pub max_output_tokens: u32,
    pub max_input_tokens: Option<u32>,
    pub eos: EosHandling,
    /// Offered load; `None` where each request follows an answer, with the concurrency of the engine's batch or of a
    /// server.
    pub load: Option<Load>,
    /// Power limit of all its GPUs, in watts; `None` where it is unknown.
    pub power_limit_w: Option<f64>,
    pub cpu: CpuSettings,
    /// Objectives that goodput counts; `None` without an `slo`.
    pub slo: Option<Slo>,
}

/// A metric over a result's cycles.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub metric: &'static Metric,
    /// Figure of each cycle, all above 0; or the reason why they cannot be used.
    pub values: Result<Vec<f64>, String>,
    /// Reason why the energies of cycles cannot be combined; `None` where they can.
    pub mismatch: Option<String>,
    /// Instruments that metered the energy; `None` for a metric without energy.
    pub instrument: Option<Instrument>,
}

impl Subject {
    /// Extracts the figures of these metrics from a result's cycles.
    pub fn new(result: &MeasuredResult, metrics: &[&'static Metric]) -> Self {
        let spec = &result.spec;
        let tokens = |read: fn(&CycleReport) -> Option<u64>| {
            let counts: Option<Vec<f64>> = result
                .cycles
                .iter()
                .map(|cycle| read(cycle).map(|n| n as f64))
                .collect();
            mean(&counts?)
        };
        let input = tokens(|cycle| cycle.inference.input_tokens);
        let output = tokens(|cycle| cycle.inference.output_tokens);
        Self {
            name: result.name.clone(),
            host: result.host.clone(),
            is_partial: result.is_partial,
            is_stopped_by_rule: result.is_stopped_by_rule,
            unit: "cycles",
            turns: None,
            conditions: Conditions {
                prompts: result.prompts.clone(),
                min_output_tokens: spec.min_output_tokens,
                max_output_tokens: spec.max_output_tokens,
                max_input_tokens: spec.max_input_tokens,
                eos: result.eos,
                load: offered(spec),
                power_limit_w: result.power_limit_w,
                cpu: result.cpu.clone(),
                slo: spec.slo.clone(),
            },
            tokens: input.zip(output),
            series: metrics
                .iter()
                .map(|metric| Series::new(metric, &result.cycles))
                .collect(),
        }
    }
}

impl Subject {
    /// Extracts the figures of these metrics from whole experiments that repeat each other: one figure each, the
    /// geometric mean of its cycles. `turns` has a turn for each of them. `None` without an experiment.
    pub fn of_repeats(
        name: &str,
        results: &[MeasuredResult],
        metrics: &[&'static Metric],
        turns: Option<Turns>,
    ) -> Option<Self> {
        let (first, _) = results.split_first()?;
        let together = MeasuredResult {
            name: name.to_owned(),
            is_partial: results.iter().any(|result| result.is_partial),
            is_stopped_by_rule: results.iter().any(|result| result.is_stopped_by_rule),
            cycles: results.iter().flat_map(|result| result.cycles.clone()).collect(),
            ..first.clone()
        };
        let mut subject = Self::new(&together, metrics);
        subject.unit = "repeats";
        subject.turns = turns;
        for series in &mut subject.series {
            if series.values.is_ok() {
                let each = results.iter().map(|result| positive(series.metric, &result.cycles));
                let each: Result<Vec<_>, String> = each.collect();
                series.values = each.map(|each| each.iter().filter_map(|cycles| geometric_mean(cycles)).collect());
            }
        }
        Some(subject)
    }
}

/// Returns the geometric mean; `None` without a value.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    mean(&logarithms).map(f64::exp)
}

impl Series {
    /// Reads a metric over cycles.
    fn new(metric: &'static Metric, cycles: &[CycleReport]) -> Self {
        let (instrument, mismatch) = match Instrument::of(metric, cycles) {
            Some(Ok(instrument)) => (Some(instrument), None),
            Some(Err(mismatch)) => (None, Some(mismatch)),
            None => (None, None),
        };
        Self {
            metric,
            // A null figure is a more useful reason than differing parts.
            values: positive(metric, cycles).and_then(|values| mismatch.clone().map_or(Ok(values), Err)),
            mismatch,
            instrument,
        }
    }

    /// Returns the lag-1 autocorrelation of the cycles where it is significant: among independent cycles chance exceeds
    /// it in one of 40 results. `None` otherwise.
    pub fn drift(&self) -> Option<f64> {
        let values = self.values.as_ref().ok()?;
        let found = lag1_autocorrelation(values)?;
        (found > 1.96 / (values.len() as f64).sqrt()).then_some(found)
    }
}

/// Returns the load without the parts that may differ between equal loads: a replayed file is identified by its hash
/// where that is known.
fn offered(spec: &Spec) -> Option<Load> {
    let mut load = spec.load.clone()?;
    if let Load::Replay { replay } = &mut load {
        replay.due_sec.clear();
        if replay.sha256.is_some() {
            replay.file.clear();
        }
    }
    Some(load)
}

/// Returns the figure of each cycle.
///
/// # Errors
/// Returns the reason why a figure cannot be used: it is null or not above 0 in a cycle.
fn positive(metric: &Metric, cycles: &[CycleReport]) -> Result<Vec<f64>, String> {
    if cycles.is_empty() {
        return Err("it has no cycles".to_owned());
    }
    let of_cycle = |cycle: &CycleReport| match number(metric, cycle.into()) {
        None => Err(format!("it is null in cycle {}", cycle.cycle)),
        Some(value) if value > 0.0 && value.is_finite() => Ok(value),
        Some(value) => Err(format!(
            "it is {value} in cycle {}, and a ratio needs figures above 0",
            cycle.cycle
        )),
    };
    cycles.iter().map(of_cycle).collect()
}
