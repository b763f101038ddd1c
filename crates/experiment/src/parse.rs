use serde_json::Value;

use super::ExperimentRequest;
use super::field::{FieldProblem, Fields, MAX_PROBLEMS, brief};
use super::other_words;

/// Reads a submission and checks the types and ranges of its fields; [`super::resolve()`] checks them against the host.
///
/// # Errors
/// Returns every problem that was found, each with a pointer to its field.
pub fn parse(document: &Value) -> Result<ExperimentRequest, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let Some(object) = document.as_object() else {
        let detail = format!(
            "the document is {}; accepted is an object with the experiment's fields",
            brief(document)
        );
        return Err(vec![FieldProblem::new("", detail)]);
    };
    other_words::note_unknown(object, "", ExperimentRequest::NAMES, &mut problems);
    let mut fields = Fields::of_any_keys(object, "", &mut problems);
    if fields.value("model_name").is_none() {
        fields.problem(
            "model_name",
            "is required: a file or folder under the server's models folder",
        );
    }
    let request = ExperimentRequest::read_all(&mut fields);
    one_source_of_prompts(&mut fields);
    if problems.is_empty() {
        Ok(request)
    } else {
        problems.truncate(MAX_PROBLEMS);
        Err(problems)
    }
}

/// Notes a problem where prompts are given twice, or where a property of a file is given without the file's name.
fn one_source_of_prompts(fields: &mut Fields<'_>) {
    let is_given = |name: &&str| {
        let value = fields.value(name);
        value.is_some_and(|value| value.as_array().is_none_or(|items| !items.is_empty()))
    };
    let given: Vec<_> = ["prompts", "prompt_lines", "prompt_source"]
        .into_iter()
        .filter(is_given)
        .collect();
    if let [first, .., last] = given[..] {
        let detail =
            format!("is given together with {first}; accepted is only one of prompts, prompt_source and prompt_lines");
        fields.problem(last, detail);
    }
    for name in ["prompt_source_count", "prompt_source_sha256"] {
        if fields.value(name).is_some() && fields.value("prompt_source").is_none() {
            fields.problem(
                name,
                "is given without prompt_source, which names the file; give both or neither",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{DatasetPrompts, Prompts, SyntheticPrompts};

    #[test]
    fn all_problems_are_reported_at_once() {
        let document = json!({
            "max_output_tokens": "many", "decoder": {"top_p": 2, "beam": 4}, "gpus": [0, -1, 0], "prompts": ["a", 3],
        });
        let problems = parse(&document).unwrap_err();
        let pointers = problems
            .iter()
            .map(|problem| problem.pointer.as_str())
            .collect::<Vec<_>>();
        assert_eq!(
            pointers,
            [
                "/model_name",
                "/prompts/1",
                "/max_output_tokens",
                "/decoder/beam",
                "/decoder/top_p",
                "/gpus/1",
                "/gpus/2"
            ]
        );
    }

    #[test]
    fn prompts_come_from_one_field_and_the_others_may_be_empty() {
        let read = |fields: Value| {
            let mut document = json!({"model_name": "m"});
            document
                .as_object_mut()
                .unwrap()
                .extend(fields.as_object().unwrap().clone());
            parse(&document).map_err(|problems| problems[0].pointer.clone())
        };
        let line = json!([{"prompt": "a"}]);
        for accepted in [
            json!({"prompts": [], "prompt_lines": [], "prompt_source": "a.jsonl", "prompt_source_count": 3}),
            json!({"prompts": [], "prompt_lines": line, "prompt_source": null, "prompt_source_sha256": null}),
            json!({"prompts": ["a"], "prompt_lines": [], "prompt_source": null}),
            json!({"prompt_lines": []}),
        ] {
            assert!(read(accepted.clone()).is_ok(), "{accepted}");
        }
        for (refused, pointer) in [
            (json!({"prompts": ["a"], "prompt_source": "a.jsonl"}), "/prompt_source"),
            (
                json!({"prompts": {"dataset": "short-32"}, "prompt_source": "a.jsonl"}),
                "/prompt_source",
            ),
            (
                json!({"prompt_lines": line, "prompt_source": "a.jsonl"}),
                "/prompt_source",
            ),
            (json!({"prompts": ["a"], "prompt_lines": line}), "/prompt_lines"),
            (json!({"prompts": []}), "/prompts"),
            (
                json!({"prompts": [], "prompt_source": null, "prompt_lines": []}),
                "/prompts",
            ),
            (json!({"prompt_source": ""}), "/prompt_source"),
            (json!({"prompt_source": 1}), "/prompt_source"),
            (
                json!({"prompt_source_sha256": "ab", "prompt_source": "a.jsonl"}),
                "/prompt_source_sha256",
            ),
            (json!({"prompt_source_count": 1}), "/prompt_source_count"),
        ] {
            assert_eq!(read(refused.clone()).unwrap_err(), pointer, "{refused}");
        }
    }

    #[test]
    fn the_three_kinds_of_prompts_are_read() {
        let read = |prompts: Value| {
            parse(&json!({"model_name": "m", "prompts": prompts}))
                .unwrap()
                .prompts
                .unwrap()
        };
        assert_eq!(read(json!(["hello"])), Prompts::Texts(vec!["hello".to_owned()]));
        let dataset = DatasetPrompts {
            dataset: "short-32".to_owned(),
            count: Some(4),
        };
        assert_eq!(
            read(json!({"dataset": "short-32", "count": 4})),
            Prompts::Dataset(dataset)
        );
        let synthetic = SyntheticPrompts {
            input_tokens: 16,
            count: 2,
            seed: u64::MAX,
            ..SyntheticPrompts::default()
        };
        assert_eq!(
            read(json!({"synthetic": {"input_tokens": 16, "count": 2, "seed": u64::MAX}})),
            Prompts::Synthetic { synthetic }
        );
    }
}
