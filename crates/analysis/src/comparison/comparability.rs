use super::subject::Subject;
use crate::metrics::Metric;
use joulemark_experiment::{Load, PromptIdentity};
use joulemark_measurement::{EosHandling, is_same_power_limit};
use serde::Serialize;

/// Returns the reasons why no figure of two results can be compared: their work differed. Empty where it was the same.
pub fn differences(baseline: &Subject, candidate: &Subject) -> Vec<String> {
    let (one, other) = (&baseline.conditions, &candidate.conditions);
    let mut found = Vec::new();
    found.extend(other_prompts(one.prompts.as_ref(), other.prompts.as_ref()));
    let limit = |limit: Option<u32>| limit.map_or("null".to_owned(), |tokens| tokens.to_string());
    for (name, one, other) in [
        ("max_input_tokens", one.max_input_tokens, other.max_input_tokens),
        (
            "min_output_tokens",
            Some(one.min_output_tokens),
            Some(other.min_output_tokens),
        ),
        (
            "max_output_tokens",
            Some(one.max_output_tokens),
            Some(other.max_output_tokens),
        ),
    ] {
        if one != other {
            found.push(format!(
                "different lengths: {name} is {} in the baseline, {} in the candidate",
                limit(one),
                limit(other)
            ));
        }
    }
    if one.eos != other.eos {
        found.push(format!(
            "different treatment of the end of a sequence: {} in the baseline, {} in the candidate",
            treated(one.eos),
            treated(other.eos)
        ));
    }
    found.extend(other_load(one.load.as_ref(), other.load.as_ref()));
    found
}

/// Returns the reason why a single metric of two results cannot be compared: goodput depends on the `slo`. `None` where
/// it can.
pub fn differences_in(metric: &Metric, baseline: &Subject, candidate: &Subject) -> Option<String> {
    let (one, other) = (&baseline.conditions.slo, &candidate.conditions.slo);
    (metric.name == "goodput" && one != other).then(|| {
        format!(
            "different service level objectives: slo is {} in the baseline, {} in the candidate",
            document(one),
            document(other)
        )
    })
}

/// Returns a note on two closed loads with different concurrencies. They may be the very setting that is compared, like
/// `batch_size`; in both the engine sets the pace.
pub fn other_concurrency(baseline: &Subject, candidate: &Subject) -> Option<String> {
    let (one, other) = (&baseline.conditions.load, &candidate.conditions.load);
    let comes_by_itself = |load: &Option<Load>| load.as_ref().is_some_and(Load::comes_by_itself);
    (one != other && !comes_by_itself(one) && !comes_by_itself(other)).then(|| {
        format!(
            "different concurrency: load is {} in the baseline, {} in the candidate",
            document(one),
            document(other)
        )
    })
}

/// Returns a note on two different power limits, which may be the setting that is compared or have been left set by
/// mistake.
pub fn other_power_limit(baseline: &Subject, candidate: &Subject) -> Option<String> {
    let both = (baseline.conditions.power_limit_w, candidate.conditions.power_limit_w);
    let (Some(one), Some(other)) = both else { return None };
    (!is_same_power_limit(one, other))
        .then(|| format!("different power limit: {one} W was in force in the baseline, {other} W in the candidate"))
}

/// Returns how two loads differ, where at least one sends requests at times of its own. Such a load is part of the
/// work, like the prompts: latencies, and the energy of idling, depend on it.
fn other_load(one: Option<&Load>, other: Option<&Load>) -> Option<String> {
    let comes_by_itself = |load: Option<&Load>| load.is_some_and(Load::comes_by_itself);
    (one != other && (comes_by_itself(one) || comes_by_itself(other))).then(|| {
        format!(
            "different offered load: load is {} in the baseline, {} in the candidate",
            document(&one),
            document(&other)
        )
    })
}

/// Returns a value as JSON text.
fn document(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_else(|error| error.to_string())
}

/// Returns how two sets of prompts differ; `None` where they are the same.
fn other_prompts(one: Option<&PromptIdentity>, other: Option<&PromptIdentity>) -> Option<String> {
    let is_same = one.zip(other).and_then(|(one, other)| one.is_same(other));
    match (is_same, one, other) {
        (Some(true), ..) => None,
        (Some(false), Some(one), Some(other)) => Some(format!(
            "different prompts: {} in the baseline, {} in the candidate",
            one.as_str(),
            other.as_str()
        )),
        _ => {
            Some("the prompts may differ: some are withheld from the caller, or were deleted without a hash".to_owned())
        }
    }
}

/// Returns the treatment in words.
fn treated(eos: EosHandling) -> &'static str {
    match eos {
        EosHandling::Masked => "masked",
        EosHandling::Ignored => "ignored",
        EosHandling::Natural => "natural",
    }
}
