//! Checks of prompts that are given one by one against the other fields of the experiment. How they are read is in
//! `prompt_lines.rs`.

use super::field::FieldProblem;
use super::prompt_lines::PromptLine;
use super::submission::Spec;
use joulemark_measurement::quoted;

/// Returns what is wrong with the lines of a spec, at most one problem of each kind. `context` is the maximum length of
/// a sequence of the model, where it is known.
pub fn line_problems(spec: &Spec, context: Option<u64>) -> Vec<FieldProblem> {
    [
        first(spec, "messages", |line| chat_without_template(spec, line)),
        first(spec, "max_output_tokens", |line| shorter_than_least(spec, line)),
        first(spec, "max_output_tokens", |line| longer_than_context(context?, line)),
        first(spec, "input_length", |line| no_room_in_context(spec, context?, line)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the problem of the first line that `wrong` finds fault with. `key` is the field of the line.
fn first(spec: &Spec, key: &str, wrong: impl Fn(&PromptLine) -> Option<String>) -> Option<FieldProblem> {
    let mut lines = spec.prompt_lines.iter().enumerate();
    let (index, detail) = lines.find_map(|(index, line)| Some((index, wrong(line)?)))?;
    let of_file = spec
        .prompt_source
        .as_ref()
        .or(spec.replayed_prompts().map(|replay| &replay.file));
    Some(match of_file {
        Some(name) => {
            let detail = format!("is {}, in which {key} of line {} {detail}", quoted(name), index + 1);
            FieldProblem::new(spec.prompts_pointer(), detail)
        }
        None => FieldProblem::new(format!("/prompt_lines/{index}/{key}"), detail),
    })
}

fn chat_without_template(spec: &Spec, line: &PromptLine) -> Option<String> {
    let detail =
        "needs the chat template, but raw_prompt is true; accepted is prompt (a text), or set raw_prompt to false";
    (spec.raw_prompt && line.messages.is_some()).then(|| detail.to_owned())
}

fn shorter_than_least(spec: &Spec, line: &PromptLine) -> Option<String> {
    let (own, least) = (line.max_output_tokens?, spec.min_output_tokens);
    (own < least).then(|| format!("is {own}; accepted is at least min_output_tokens, which is {least}"))
}

fn longer_than_context(context: u64, line: &PromptLine) -> Option<String> {
    let own = line.max_output_tokens?;
    (u64::from(own) >= context).then(|| format!("is {own}; the model's context is {context} tokens, prompt included"))
}

fn no_room_in_context(spec: &Spec, context: u64, line: &PromptLine) -> Option<String> {
    let input = line.input_length?.min(spec.max_input_tokens.unwrap_or(u32::MAX));
    let output = line.max_output_tokens.unwrap_or(spec.max_output_tokens);
    let detail =
        format!("is {input}; with {output} tokens of output it exceeds the model's context of {context} tokens");
    (u64::from(input) + u64::from(output) > context).then_some(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{FieldProblem, Host, Model, Spec, parse, resolve};

    fn host() -> Host {
        Host {
            gpus: Vec::new(),
            cuda_build: false,
            cpus: 8,
            power_problem: None,
            default_dataset: "set".to_owned(),
            datasets: vec![("set".to_owned(), 1)],
        }
    }

    fn resolved(fields: &Value) -> Result<Spec, Vec<FieldProblem>> {
        let model = Model {
            is_gguf: true,
            max_context_tokens: Some(100),
            has_chat_template: true,
            is_pretended: false,
            is_served: false,
        };
        let mut document = json!({"model_name": "m", "max_output_tokens": 10});
        let document_fields = document.as_object_mut().unwrap();
        document_fields.extend(fields.as_object().unwrap().clone());
        let (spec, _) = resolve(parse(&document).unwrap(), &host(), Some(&model))?;
        Ok(spec)
    }

    fn lines() -> Value {
        json!([{"prompt": "abc"}, {"prompt": "abcde", "max_output_tokens": 4},
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "bc"}], "max_output_tokens": 20}])
    }

    #[test]
    fn the_lengths_of_lines_are_their_own_in_every_sum() {
        let spec = resolved(&json!({"prompt_lines": lines(), "num_cycles": 2})).unwrap();
        assert_eq!(spec.prompt_count(), Some(3));
        assert_eq!(
            [0, 1, 2, 3].map(|index| spec.max_output_tokens_of(index)),
            [10, 4, 20, 10]
        );
        assert_eq!(spec.max_output_tokens_of_a_pass(), Some(34));
        assert_eq!(spec.token_bound(0), 2 * (3 + 5 + 3 + 34));
        assert_eq!(serde_json::to_value(&spec.prompts).unwrap(), json!([]));
        assert_eq!(serde_json::to_value(&spec.prompt_lines).unwrap(), lines());
        let short = resolved(&json!({"prompt_lines": lines(), "num_cycles": 1, "max_input_tokens": 2})).unwrap();
        assert_eq!(short.token_bound(0), 6 + 34);
    }

    #[test]
    fn the_token_bound_holds_whichever_rank_gets_the_requests_of_a_load() {
        let of = |num_processes: u32, load: Value| {
            let asked = json!({"prompt_lines": lines(), "num_cycles": 2, "num_processes": num_processes, "load": load});
            resolved(&asked).unwrap()
        };
        let by_number = json!({"open": {"rate_per_sec": 1, "requests": 6}});
        let one = of(1, by_number.clone());
        assert_eq!(one.token_bound(0), 2 * 2 * (3 + 5 + 3 + 34));
        // All six may come to the rank with the longest prompt, or with the longest answer.
        let two = of(2, by_number);
        assert_eq!(two.token_bound(0), 2 * 6 * (5 + 20));
        assert_eq!(two.max_output_tokens_of_a_cycle(), Some(6 * 20));
        let by_time = of(1, json!({"open": {"rate_per_sec": 1, "duration_sec": 6}}));
        // An open load may have many more requests than its mean of six; 34 output tokens are three requests.
        assert!(by_time.max_output_tokens_of_a_cycle().unwrap() >= 34 * 10);
        assert_eq!(by_time.requests_of_a_cycle(), Some(6));
    }

    #[test]
    fn workers_get_plain_lines_as_texts_and_others_as_they_are() {
        let plain = resolved(&json!({"prompt_lines": [{"prompt": "a"}, {"prompt": "b"}]})).unwrap();
        let plain = plain.for_workers(Vec::new());
        assert_eq!(serde_json::to_value(&plain.prompts).unwrap(), json!(["a", "b"]));
        assert!(plain.prompt_lines.is_empty());
        let chats = resolved(&json!({"prompt_lines": lines()})).unwrap();
        assert_eq!(chats.clone().for_workers(Vec::new()), chats);
    }

    #[test]
    fn a_line_that_no_run_could_obey_is_rejected_by_number() {
        for (fields, pointer, expected) in [
            (
                json!({"raw_prompt": true}),
                "/prompt_lines/2/messages",
                "raw_prompt is true",
            ),
            (
                json!({"min_output_tokens": 5}),
                "/prompt_lines/1/max_output_tokens",
                "is 4; accepted is at least",
            ),
            (
                json!({"num_processes": 4}),
                "/prompt_lines",
                "holds 3 prompts for 4 ranks",
            ),
        ] {
            let mut all = json!({"prompt_lines": lines()});
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let problems = resolved(&all).unwrap_err();
            assert_eq!(problems[0].pointer, pointer);
            assert!(problems[0].detail.contains(expected), "{problems:?}");
        }
        let long = json!({"prompt_lines": [{"prompt": "a", "max_output_tokens": 100}]});
        let problems = resolved(&long).unwrap_err();
        assert_eq!(problems[0].pointer, "/prompt_lines/0/max_output_tokens");
        assert!(problems[0].detail.contains("context is 100 tokens"), "{problems:?}");
        let mut request = parse(&json!({"model_name": "m", "prompt_source": "a.jsonl"})).unwrap();
        request.prompt_lines = parse(&json!({"model_name": "m", "prompt_lines": lines()}))
            .unwrap()
            .prompt_lines;
        request.raw_prompt = Some(true);
        let problems = resolve(request, &host(), None).unwrap_err();
        assert_eq!(problems[0].pointer, "/prompt_source");
        assert!(
            problems[0]
                .detail
                .contains("is \"a.jsonl\", in which messages of line 3"),
            "{problems:?}"
        );
    }
}
