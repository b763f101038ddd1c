//! Reads a file that a load is replayed from: when each request arrived, and its prompt where the file has it.

use serde_json::Value;

use super::field::{FieldProblem, Fields, brief};
use super::prompt_lines::{BadPromptFile, PromptLine, messages, read_lines, text};
use super::prompts::MAX_TOKENS;

const ACCEPTED: &str = "an object with timestamp (milliseconds), and with prompt, messages or input_length, or none of them in any \
     line";
/// Maximum length of a replay, in milliseconds: a day, as for an open load.
const MAX_SPAN_MS: f64 = 86_400_000.0;

/// A file of recorded requests.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayLines {
    /// Time of each request, in seconds after the first.
    pub due_sec: Vec<f64>,
    /// Prompt of each request; empty where the file only has times.
    pub prompts: Vec<PromptLine>,
}

/// Reads a file of requests, one JSON object on each line, in order of time.
///
/// # Errors
/// Returns a [`BadPromptFile`] with the problems of the first bad lines, by number.
pub fn read_replay_lines(file: &str) -> Result<ReplayLines, BadPromptFile> {
    let mut before = None;
    let lines = read_lines(file, ACCEPTED, |value, problems| {
        read_line(value, &mut before, problems)
    })?;
    let first = lines.first().map_or(0.0, |(at_ms, _)| *at_ms);
    let due_sec = lines.iter().map(|(at_ms, _)| (at_ms - first) / 1000.0).collect();
    let count = lines.len();
    let prompts: Vec<_> = lines.into_iter().filter_map(|(_, prompt)| prompt).collect();
    match prompts.len() {
        0 => {}
        some if some == count => {}
        some => {
            let said = format!("{some} of {count} lines have a prompt; accepted is a prompt in every line or in none");
            return Err(BadPromptFile(said));
        }
    }
    Ok(ReplayLines { due_sec, prompts })
}

/// Reads one line. `before` contains the time of the previous line and that of the first.
fn read_line(
    value: &Value,
    before: &mut Option<(f64, f64)>,
    problems: &mut Vec<FieldProblem>,
) -> Option<(f64, Option<PromptLine>)> {
    let Some(object) = value.as_object() else {
        problems.push(FieldProblem::new(
            "",
            format!("is {}; accepted is {ACCEPTED}", brief(value)),
        ));
        return None;
    };
    let known = [
        "timestamp",
        "prompt",
        "messages",
        "input_length",
        "output_length",
        "max_output_tokens",
        "hash_ids",
    ];
    let noted = problems.len();
    let mut fields = Fields::new(object, "", &known, problems);
    if fields.value("timestamp").is_none() {
        fields.problem("timestamp", "is required: milliseconds");
    }
    let (last, first) = before.unwrap_or((0.0, f64::INFINITY));
    let latest = first + MAX_SPAN_MS;
    let accepted = format!("a number of milliseconds from {last}, the previous line's, to a day after the first");
    let at_ms = fields.number("timestamp", &accepted, |at| at >= last && at <= latest);
    let prompt = text(&mut fields, "prompt");
    let of_own = [
        prompt.is_some(),
        fields.value("messages").is_some(),
        fields.value("input_length").is_some(),
    ];
    if of_own.iter().filter(|given| **given).count() > 1 {
        fields.problem(
            "prompt",
            "is not the only one; accepted is one of prompt, messages and input_length",
        );
    }
    if fields.value("output_length").is_some() && fields.value("max_output_tokens").is_some() {
        fields.problem(
            "output_length",
            "is given together with max_output_tokens, which means the same; accepted is one of the two",
        );
    }
    let most = fields.count("output_length", 1, MAX_TOKENS);
    let line = PromptLine {
        prompt,
        messages: messages(&mut fields),
        max_output_tokens: most.or_else(|| fields.count("max_output_tokens", 1, MAX_TOKENS)),
        input_length: fields.count("input_length", 1, MAX_TOKENS),
    };
    let has_prompt = line.prompt.is_some() || line.messages.is_some() || line.input_length.is_some();
    if !has_prompt && line.max_output_tokens.is_some() {
        fields.problem(
            "output_length",
            "is given in a line without a prompt; leave it out, or add prompt, messages or input_length",
        );
    }
    if problems.len() > noted {
        return None;
    }
    let at_ms = at_ms?;
    *before = Some((at_ms, first.min(at_ms)));
    Some((at_ms, has_prompt.then_some(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_of_lengths_is_read_with_its_times_from_the_first() {
        let file = "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}\n\
                    {\"timestamp\": 28500.5, \"input_length\": 3, \"output_length\": 1, \"hash_ids\": []}\n";
        let lines = read_replay_lines(file).unwrap();
        assert_eq!(lines.due_sec, [0.0, 1.0185]);
        assert_eq!(
            (lines.prompts[0].input_length, lines.prompts[0].max_output_tokens),
            (Some(6955), Some(52))
        );
        assert_eq!(lines.prompts[1].bytes(), 3);
        let times = read_replay_lines("{\"timestamp\": 0}\n{\"timestamp\": 0}\n").unwrap();
        assert_eq!((times.due_sec.len(), times.prompts.len()), (2, 0));
    }

    #[test]
    fn each_bad_line_is_named_by_its_number_with_what_is_accepted() {
        for (second, expected) in [
            ("{}", "line 2: timestamp is required"),
            (
                "{\"timestamp\": 4}",
                "line 2: timestamp is 4; accepted is a number of milliseconds from 5, the previous line's",
            ),
            ("{\"timestamp\": 86400006}", "to a day after the first"),
            (
                "{\"timestamp\": 6, \"prompt\": \"a\", \"input_length\": 3}",
                "accepted is one of prompt, messages",
            ),
            ("{\"timestamp\": 6, \"prompt\": \" \"}", "line 2: prompt is"),
            (
                "{\"timestamp\": 6, \"output_length\": 3}",
                "line 2: output_length is given in a line without a prompt",
            ),
            ("{\"timestamp\": 6}", "1 of 2 lines have a prompt"),
            ("{\"time\": 6}", "line 2: time is not a known field"),
            ("7", "line 2 is 7; accepted is an object with timestamp"),
        ] {
            let said = read_replay_lines(&format!("{{\"timestamp\": 5, \"prompt\": \"a\"}}\n{second}\n")).unwrap_err();
            assert!(said.to_string().contains(expected), "{second}: {said}");
        }
    }
}
