//! What a careful reader should know of a result, in words that say what to do.

use askama::Template;

use joulemark_experiment::report::{CheckOutcome, Validation};
use joulemark_measurement::{Warning, WarningCode};

/// The checks of a result, or the warnings of a submission.
#[derive(Template)]
#[template(path = "experiment/checks.html")]
pub struct Checks {
    /// Whether a result was checked; else these are of the submission alone.
    is_of_result: bool,
    findings: Vec<Finding>,
    /// Why each figure that is null is so.
    unknown: Vec<String>,
    held: Vec<&'static str>,
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    advice: Advice,
    messages: Vec<String>,
}

/// What a kind of warning is called, how much it matters, and what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Advice {
    weight: Weight,
    title: &'static str,
    to_do: &'static str,
}

/// How much a warning matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Figures may be wrong, or are not what they seem.
    Doubtful,
    /// Figures are right, and less sure or of less use than they could be.
    Weaker,
    Remark,
}

impl Weight {
    fn words(self) -> &'static str {
        match self {
            Self::Doubtful => "figures may mislead",
            Self::Weaker => "less sure",
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
    /// Returns the warnings of an experiment that has no result.
    pub fn of_submission(warnings: &[Warning]) -> Self {
        Self {
            is_of_result: false,
            findings: findings(warnings),
            unknown: Vec::new(),
            held: Vec::new(),
        }
    }

    pub fn of_result(validation: &Validation) -> Self {
        let unknown = validation.warnings.iter();
        let unknown = unknown.filter(|warning| warning.code == WarningCode::MetricUnknown);
        let held = [
            (validation.temporal_overlap, "the ranks ran at the same time"),
            (validation.gpu_attribution, "each GPU belongs to one rank alone"),
        ];
        let passed = held.into_iter().filter(|(outcome, _)| *outcome == CheckOutcome::Passed);
        Self {
            is_of_result: true,
            findings: findings(&validation.warnings),
            unknown: unknown.map(|warning| plain(&warning.message)).collect(),
            held: passed.map(|(_, what)| what).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.is_of_result && self.findings.is_empty()
    }
}

/// Returns the warnings by kind, the gravest first; what says of a figure that it is null stands beside that figure.
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

/// Returns a message without the marks around names, which a page does not show.
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

/// Returns what is to be done about a kind of warning.
fn advice(code: WarningCode) -> Advice {
    of_setup(code)
        .or_else(|| of_devices(code))
        .unwrap_or_else(|| of_engine(code))
}

/// Returns what a kind of warning is called.
pub fn title(code: WarningCode) -> &'static str {
    advice(code).title
}

/// Returns the advice on how an experiment is set up.
fn of_setup(code: WarningCode) -> Option<Advice> {
    Some(match code {
        WarningCode::FewWarmups => weaker(
            "Few warm-up passes",
            "Set warmup_iterations higher, or warmup to stop once steady.",
        ),
        WarningCode::FewCycles => weaker(
            "Few cycles",
            "Measure more cycles (num_cycles, or a stop_rule), so that intervals can be told.",
        ),
        WarningCode::Sampling => remark(
            "Output is drawn",
            "Decode greedily where answers are to be the same in each run, or give a seed.",
        ),
        WarningCode::ShortWindow => weaker(
            "Short measurement window",
            "Generate more tokens or send more prompts: a cycle of some 30 s suits every source.",
        ),
        WarningCode::NotSteady => weaker("Warm-up ended too early", "Allow more warm-up iterations."),
        WarningCode::NotCooled => weaker(
            "A cycle began warm",
            "Give the GPUs more time (max_cooling_sec) or a higher start_below_temperature_c.",
        ),
        WarningCode::NotSettled => weaker("A cycle began unsettled", "Give settle more time (max_sec)."),
        WarningCode::OpenLoadSaturated => doubtful(
            "The engine could not keep up",
            "Lower the rate of the open load: latencies here say how long the experiment was, not how good the engine is.",
        ),
        WarningCode::PromptTruncated => remark(
            "Prompts were cut",
            "Raise max_input_tokens where the whole prompt is to be read.",
        ),
        WarningCode::MetricUnknown => remark("A figure is unknown", "The reason stands beside the figure."),
        _ => return None,
    })
}

/// Returns the advice on what is measured.
fn of_devices(code: WarningCode) -> Option<Advice> {
    Some(match code {
        WarningCode::EnergyIncomplete => doubtful(
            "Energy is incomplete",
            "Do not compare the total with a whole one. joulemark doctor says how to make the missing source readable.",
        ),
        WarningCode::EnergyEstimated => doubtful(
            "Energy is an estimate",
            "Cite it as one. joulemark doctor says what it takes to measure it here.",
        ),
        WarningCode::SourcesDisagree => doubtful(
            "A device's sensors disagree",
            "Run it again for longer; if it stays so, trust neither and report the board and driver.",
        ),
        WarningCode::GpuCountedTwice => doubtful("A GPU was counted twice", "Give each rank its own GPUs."),
        WarningCode::GpuLimited => weaker(
            "A GPU cannot be read in full",
            "Use a whole board, or read what the message says of it.",
        ),
        WarningCode::GpusMeteredNotUsed => doubtful(
            "GPUs were metered and not used",
            "Set device to cuda to run on them, or lease none.",
        ),
        WarningCode::ForeignGpuProcess => doubtful(
            "Others used a GPU",
            "Their energy is in these figures. End the other process and run it again, or set repeat_disturbed.",
        ),
        WarningCode::ForeignCpuLoad => doubtful(
            "Others used the CPUs",
            "Run it again when the host is quiet, or set repeat_disturbed or isolation.",
        ),
        WarningCode::Throttled => doubtful(
            "A GPU lowered its clocks",
            "For heat: cool it better, or wait between cycles (cooldown_sec, start_below_temperature_c). For sw_power_cap: the power \
             limit holds it back, which is as asked where power_limit_w is set.",
        ),
        WarningCode::TemperatureDrift => weaker(
            "Temperature drifted",
            "Warm up for longer, or set settle, so that each cycle begins alike.",
        ),
        WarningCode::PersistenceModeOff => weaker("Persistence mode is off", "Turn it on: sudo nvidia-smi -pm 1."),
        WarningCode::PowerLimitChanged => doubtful(
            "A power limit was changed meanwhile",
            "The cycle is not counted. Agree with whoever sets the board, and run it again.",
        ),
        _ => return None,
    })
}

/// Returns the advice on what was run.
fn of_engine(code: WarningCode) -> Advice {
    match code {
        WarningCode::SyntheticEngine => doubtful(
            "No model was run",
            "The synthetic engine only tries the service out: cite none of these figures.",
        ),
        WarningCode::NoTemporalOverlap => doubtful(
            "Ranks did not run at the same time",
            "Figures of all ranks together do not hold. Use more prompts, or equal shares.",
        ),
        WarningCode::RankImbalance => weaker(
            "Ranks ran for different times",
            "Give each rank as much work as the others.",
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
            "Their energy is in the figures, their tokens are not. Lower the load or look into the server's log.",
        ),
        WarningCode::EngineLimited => remark(
            "The server does not do all that was asked",
            "Read what it honours below before comparing it with another engine.",
        ),
        WarningCode::EngineNotFound => doubtful(
            "The server's processes were not found as configured",
            "Let the configuration name how to find them (process, container or port).",
        ),
        WarningCode::LoadGeneratorLate => doubtful(
            "Requests were sent or read late",
            "Latencies are too long. Free a CPU for the load generator, or lower the load.",
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
    fn each_kind_of_warning_says_what_to_do_and_the_gravest_comes_first() {
        let warnings = [
            warning(WarningCode::FewCycles, "2 cycles"),
            warning(WarningCode::MetricUnknown, "gpu_energy_j: no GPU was leased"),
            warning(WarningCode::Throttled, "GPU 0"),
            warning(WarningCode::Throttled, "GPU 1"),
        ];
        let found = findings(&warnings);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].advice.title, "A GPU lowered its clocks");
        assert_eq!(found[0].messages, ["GPU 0", "GPU 1"]);
        assert!(found.iter().all(|finding| !finding.advice.to_do.is_empty()));
    }

    #[test]
    fn no_kind_of_warning_is_left_without_words() {
        // Of each kind as results carry it.
        let schema = serde_json::to_value(<WarningCode as utoipa::PartialSchema>::schema()).expect("a schema");
        let codes = schema["enum"].as_array().expect("words");
        assert!(codes.len() > 25, "{schema}");
        for code in codes {
            let code: WarningCode = serde_json::from_value(code.clone()).expect("a code");
            assert!(!advice(code).to_do.is_empty(), "{code:?}");
        }
    }
}
