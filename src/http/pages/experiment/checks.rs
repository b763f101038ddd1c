//! Warnings of a result or a submission, with advice.

use askama::Template;

use joulemark_experiment::report::{CheckOutcome, Validation};
use joulemark_measurement::{Warning, WarningCode};

/// Warnings of a result with its checks, or warnings of a submission.
#[derive(Template)]
#[template(path = "experiment/checks.html")]
pub struct Checks {
    /// Whether they are of a result; otherwise of a submission.
    is_of_result: bool,
    findings: Vec<Finding>,
    /// Reasons why figures are null.
    unknown: Vec<String>,
    passed: Vec<&'static str>,
}

/// Warnings of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    advice: Advice,
    messages: Vec<String>,
}

/// Title, weight and advice for a kind of warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Advice {
    weight: Weight,
    title: &'static str,
    to_do: &'static str,
}

/// How much a warning matters, in descending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Figures may be wrong or misleading.
    Doubtful,
    /// Figures are right, but less certain or less useful than they could be.
    Weaker,
    Remark,
}

impl Weight {
    fn words(self) -> &'static str {
        match self {
            Self::Doubtful => "figures may mislead",
            Self::Weaker => "less certain",
            Self::Remark => "remark",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Doubtful => "unknown",
            Self::Weaker => "estimated",
            Self::Remark => "remark",
        }
    }
}

impl Checks {
    /// Returns the warnings of an experiment without a result.
    pub fn of_submission(warnings: &[Warning]) -> Self {
        Self {
            is_of_result: false,
            findings: findings(warnings),
            unknown: Vec::new(),
            passed: Vec::new(),
        }
    }

    /// Returns the warnings and the passed checks of a result.
    pub fn of_result(validation: &Validation) -> Self {
        let unknown = validation.warnings.iter();
        let unknown = unknown.filter(|warning| warning.code == WarningCode::MetricUnknown);
        let checks = [
            (validation.temporal_overlap, "the ranks ran at the same time"),
            (validation.gpu_attribution, "each GPU belongs to one rank alone"),
        ];
        let passed = checks
            .into_iter()
            .filter(|(outcome, _)| *outcome == CheckOutcome::Passed);
        Self {
            is_of_result: true,
            findings: findings(&validation.warnings),
            unknown: unknown.map(|warning| plain(&warning.message)).collect(),
            passed: passed.map(|(_, what)| what).collect(),
        }
    }

    /// Returns whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        !self.is_of_result && self.findings.is_empty()
    }
}

/// Groups the warnings by kind, those that matter most first. Omits the reasons of null figures, which are shown with
/// the figures.
fn findings(warnings: &[Warning]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for warning in warnings
        .iter()
        .filter(|warning| warning.code != WarningCode::MetricUnknown)
    {
        let advice = advice(warning.code);
        match findings.iter_mut().find(|finding| finding.advice == advice) {
            Some(finding) => finding.messages.push(plain(&warning.message)),
            None => findings.push(Finding {
                advice,
                messages: vec![plain(&warning.message)],
            }),
        }
    }
    findings.sort_by_key(|finding| finding.advice.weight);
    findings
}

/// Removes backquotes.
fn plain(message: &str) -> String {
    message.replace('`', "")
}

const fn doubtful(title: &'static str, to_do: &'static str) -> Advice {
    let weight = Weight::Doubtful;
    Advice { weight, title, to_do }
}

const fn weaker(title: &'static str, to_do: &'static str) -> Advice {
    let weight = Weight::Weaker;
    Advice { weight, title, to_do }
}

const fn remark(title: &'static str, to_do: &'static str) -> Advice {
    let weight = Weight::Remark;
    Advice { weight, title, to_do }
}

/// Returns the advice on a kind of warning.
fn advice(code: WarningCode) -> Advice {
    of_setup(code)
        .or_else(|| of_devices(code))
        .unwrap_or_else(|| of_engine(code))
}

/// Returns the title of a kind of warning.
pub fn title(code: WarningCode) -> &'static str {
    advice(code).title
}

/// Returns the advice on the setup of the experiment.
fn of_setup(code: WarningCode) -> Option<Advice> {
    Some(match code {
        WarningCode::FewWarmups => weaker(
            "Few warm-up passes",
            "Raise warmup_iterations, or set warmup to stop once steady.",
        ),
        WarningCode::FewCycles => weaker(
            "Few cycles",
            "Measure more cycles (num_cycles, or a stop_rule), so that intervals can be computed.",
        ),
        WarningCode::Sampling => remark(
            "Output is sampled",
            "For the same answers in each run, decode greedily or give a seed.",
        ),
        WarningCode::ShortWindow => weaker(
            "Short measurement window",
            "Generate more tokens or send more prompts. A cycle of about 30 s is long enough for every source.",
        ),
        WarningCode::NotSteady => weaker("Warm-up ended too early", "Allow more warm-up iterations."),
        WarningCode::NotCooled => weaker(
            "A cycle started warm",
            "Give the GPUs more time (max_cooling_sec) or a higher start_below_temperature_c.",
        ),
        WarningCode::NotSettled => weaker(
            "A cycle started before the power settled",
            "Give settle more time (max_sec).",
        ),
        WarningCode::OpenLoadSaturated => doubtful(
            "The engine could not keep up",
            "Lower the rate of the open load. These latencies depend on the length of the experiment.",
        ),
        WarningCode::PromptTruncated => remark(
            "Prompts were truncated",
            "Raise max_input_tokens to use the whole prompts.",
        ),
        WarningCode::MetricUnknown => remark("A figure is unknown", "The reason is shown with the figure."),
        _ => return None,
    })
}

/// Returns the advice on the measurement and the devices.
fn of_devices(code: WarningCode) -> Option<Advice> {
    Some(match code {
        WarningCode::EnergyIncomplete => doubtful(
            "Energy is incomplete",
            "Do not compare this total with a complete one. joulemark doctor prints how to make the missing source readable.",
        ),
        WarningCode::EnergyEstimated => doubtful(
            "Energy is an estimate",
            "Cite it as an estimate. joulemark doctor prints what is needed to measure energy on this host.",
        ),
        WarningCode::SourcesDisagree => doubtful(
            "A device's sensors disagree",
            "Run it again for longer. If they still disagree, use neither, and report the GPU and its driver.",
        ),
        WarningCode::GpuCountedTwice => doubtful("A GPU was counted twice", "Give each rank its own GPUs."),
        WarningCode::GpuLimited => weaker(
            "A GPU cannot be read completely",
            "Use a whole GPU, or see the message for what is missing.",
        ),
        WarningCode::GpusMeteredNotUsed => doubtful(
            "GPUs were metered but not used",
            "Set device to cuda to run on them, or request none.",
        ),
        WarningCode::ForeignGpuProcess => doubtful(
            "Other processes used a GPU",
            "These figures include their energy. End the other process and run it again, or set repeat_disturbed.",
        ),
        WarningCode::ForeignCpuLoad => doubtful(
            "Other processes used the CPU",
            "Run it again while the host is idle, or set repeat_disturbed or isolation.",
        ),
        WarningCode::Throttled => doubtful(
            "A GPU was throttled",
            "If by heat, cool it better or wait between cycles (cooldown_sec, start_below_temperature_c). If by sw_power_cap, its power \
             limit throttled it; this is intended if you set power_limit_w.",
        ),
        WarningCode::TemperatureDrift => weaker(
            "Temperature drifted",
            "Warm up for longer, or set settle, so that all cycles start under the same conditions.",
        ),
        WarningCode::PersistenceModeOff => weaker("Persistence mode is off", "Turn it on: sudo nvidia-smi -pm 1."),
        WarningCode::PowerLimitChanged => doubtful(
            "A power limit was changed during the measurement",
            "The cycle is not counted. Find out which program sets the limit, and run it again.",
        ),
        _ => return None,
    })
}

/// Returns the advice on the engine and the load.
fn of_engine(code: WarningCode) -> Advice {
    match code {
        WarningCode::SyntheticEngine => doubtful(
            "No model was run",
            "The synthetic engine only tests the service. Do not cite these figures.",
        ),
        WarningCode::NoTemporalOverlap => doubtful(
            "Ranks did not run at the same time",
            "Figures over all ranks are not valid. Use more prompts, or give all ranks equal work.",
        ),
        WarningCode::RankImbalance => weaker(
            "Ranks ran for different times",
            "Give all ranks the same amount of work.",
        ),
        WarningCode::BatchedOutput => doubtful(
            "Batched answers were mixed up",
            "Run it again with this release, which checks batches, or with batch_size 1.",
        ),
        WarningCode::OutputDiffers => doubtful(
            "Greedy output differed between cycles",
            "The work was not the same in each cycle. Use batch_size 1 or a deterministic engine to repeat it exactly.",
        ),
        WarningCode::RequestsFailed => doubtful(
            "Requests failed",
            "The figures include their energy but not their tokens. Lower the load, or see the log of the inference server.",
        ),
        WarningCode::EngineLimited => remark(
            "The inference server does not support all settings",
            "See below which settings it supports before you compare it with another engine.",
        ),
        WarningCode::EngineNotFound => doubtful(
            "The processes of the inference server were not found as configured",
            "Configure how to find them (systemd_unit, pid_file, or an endpoint with a port).",
        ),
        WarningCode::LoadGeneratorLate => doubtful(
            "Requests were sent or responses read late",
            "The latencies are too high. Free a CPU for the load generator, or lower the load.",
        ),
        _ => remark("Remark", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(code: WarningCode, message: &str) -> Warning {
        Warning {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn each_kind_of_warning_has_advice_and_the_gravest_comes_first() {
        let warnings = [
            warning(WarningCode::FewCycles, "2 cycles"),
            warning(WarningCode::MetricUnknown, "gpu_energy_j: no GPU was leased"),
            warning(WarningCode::Throttled, "GPU 0"),
            warning(WarningCode::Throttled, "GPU 1"),
        ];
        let found = findings(&warnings);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].advice.title, "A GPU was throttled");
        assert_eq!(found[0].messages, ["GPU 0", "GPU 1"]);
        assert!(found.iter().all(|finding| !finding.advice.to_do.is_empty()));
    }

    #[test]
    fn every_kind_of_warning_has_advice() {
        // The codes that the schema of results lists.
        let schema = serde_json::to_value(<WarningCode as utoipa::PartialSchema>::schema()).expect("a schema");
        let codes = schema["enum"].as_array().expect("words");
        assert!(codes.len() > 25, "{schema}");
        for code in codes {
            let code: WarningCode = serde_json::from_value(code.clone()).expect("a code");
            assert!(!advice(code).to_do.is_empty(), "{code:?}");
        }
    }
}
