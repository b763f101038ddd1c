use super::subject::Subject;
use joulemark_experiment::PromptIdentity;
use joulemark_measurement::EosHandling;

/// Returns why no figure of two results can be compared: they were not given the same work. Nothing where they were.
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
                "other lengths: {name} is {} in the baseline, {} in the candidate",
                limit(one),
                limit(other)
            ));
        }
    }
    if one.eos != other.eos {
        found.push(format!(
            "the end of a sequence was {} in the baseline, {} in the candidate",
            treated(one.eos),
            treated(other.eos)
        ));
    }
    found
}

fn other_prompts(one: Option<&PromptIdentity>, other: Option<&PromptIdentity>) -> Option<String> {
    let is_same = one.zip(other).and_then(|(one, other)| one.is_same(other));
    match (is_same, one, other) {
        (Some(true), ..) => None,
        (Some(false), Some(one), Some(other)) => Some(format!(
            "other prompts: {} in the baseline, {} in the candidate",
            one.as_str(),
            other.as_str()
        )),
        _ => Some(
            "the prompts may be others: some are withheld from the caller, or were dropped without a hash".to_owned(),
        ),
    }
}

fn treated(eos: EosHandling) -> &'static str {
    match eos {
        EosHandling::Masked => "masked",
        EosHandling::Ignored => "ignored",
        EosHandling::Natural => "natural",
    }
}
