use serde_json::Value;

use super::ExperimentRequest;
use super::field::{FieldProblem, Fields, MAX_PROBLEMS, brief};
use super::other_words;

/// Reads a submission's shape and ranges; what the host can do is [`super::resolve()`]'s question.
///
/// # Errors
/// Every problem found, each with a pointer to its field.
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
    if problems.is_empty() {
        Ok(request)
    } else {
        problems.truncate(MAX_PROBLEMS);
        Err(problems)
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
        };
        assert_eq!(
            read(json!({"synthetic": {"input_tokens": 16, "count": 2, "seed": u64::MAX}})),
            Prompts::Synthetic { synthetic }
        );
    }
}
