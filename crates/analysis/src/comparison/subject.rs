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

/// What is left of a result once it is read: the figures that are compared, and what they were measured under. The result's
/// documents may hold megabytes, this does not.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub host: String,
    pub(super) is_partial: bool,
    pub(super) is_stopped_by_rule: bool,
    pub(super) conditions: Conditions,
    /// What is drawn again and again: `cycles`, or `repeats` of a whole experiment.
    pub(super) unit: &'static str,
    /// `None` for what was measured by itself.
    pub(super) turns: Option<Turns>,
    /// Mean input and output tokens of a cycle.
    pub(super) tokens: Option<(f64, f64)>,
    /// One a metric, in the order asked for.
    pub(super) series: Vec<Series>,
}

/// The turns by which units were measured: the first of each, then the second of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// What all who took turns with each other have in common: their sweep.
    pub among: String,
    /// The turn of each unit.
    pub turn: Vec<u32>,
}

/// What decides the work that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conditions {
    pub prompts: Option<PromptIdentity>,
    pub min_output_tokens: u32,
    pub max_output_tokens: u32,
    pub max_input_tokens: Option<u32>,
    pub eos: EosHandling,
    /// `None` where each request follows an answer, as many at once as the engine's batch or a server's `concurrency` has.
    pub load: Option<Load>,
    /// In watts, of all its GPUs; `None` where it is not known.
    pub power_limit_w: Option<f64>,
    pub cpu: CpuSettings,
    /// What goodput counts as good.
    pub slo: Option<Slo>,
}

/// A metric over a result's cycles.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub metric: &'static Metric,
    /// One a cycle, all above 0; or why they are not to be had.
    pub values: Result<Vec<f64>, String>,
    /// Why the cycles' energies cannot be taken together.
    pub doubt: Option<String>,
    /// `None` for a metric without energy in it.
    pub instrument: Option<Instrument>,
}

impl Subject {
    /// Takes the figures of these metrics from a result's cycles.
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
    /// Takes the figures of these metrics from whole experiments that repeat each other: one figure each, the geometric mean of
    /// its cycles. `turns` has a turn for each of them. `None` of none.
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

/// Returns the mean of the logarithms as a figure; `None` of no figures.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    mean(&logarithms).map(f64::exp)
}

impl Series {
    fn new(metric: &'static Metric, cycles: &[CycleReport]) -> Self {
        let (instrument, doubt) = match Instrument::of(metric, cycles) {
            Some(Ok(instrument)) => (Some(instrument), None),
            Some(Err(doubt)) => (None, Some(doubt)),
            None => (None, None),
        };
        Self {
            metric,
            // That a figure is null says more than that its parts differ.
            values: positive(metric, cycles).and_then(|values| doubt.clone().map_or(Ok(values), Err)),
            doubt,
            instrument,
        }
    }

    /// Returns the correlation of each cycle with the next, where it is more than chance makes of independent ones in 39 of
    /// 40 results.
    pub fn drift(&self) -> Option<f64> {
        let values = self.values.as_ref().ok()?;
        let found = lag1_autocorrelation(values)?;
        (found > 1.96 / (values.len() as f64).sqrt()).then_some(found)
    }
}

/// Returns the load without what differs between equal ones: a replayed file is known by its hash, where that is told.
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

/// Returns a metric of each cycle.
///
/// # Errors
/// Says which cycle's figure is null or has no logarithm.
fn positive(metric: &Metric, cycles: &[CycleReport]) -> Result<Vec<f64>, String> {
    if cycles.is_empty() {
        return Err("it has no cycles".to_owned());
    }
    let of_cycle = |cycle: &CycleReport| match number(metric, cycle.into()) {
        None => Err(format!("it is null in cycle {}", cycle.cycle)),
        Some(value) if value > 0.0 && value.is_finite() => Ok(value),
        Some(value) => Err(format!(
            "it is {value} in cycle {}, and a ratio takes figures above 0",
            cycle.cycle
        )),
    };
    cycles.iter().map(of_cycle).collect()
}
