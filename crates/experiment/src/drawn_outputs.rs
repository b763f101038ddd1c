use super::Prompts;
use super::field::FieldProblem;
use super::lengths::TokenLength;
use super::submission::ExperimentRequest;

/// Returns the request with `min_output_tokens` and `max_output_tokens` set to the bounds of
/// `prompts.synthetic.output_length`, where that is given. Notes a problem for other values of the two.
pub fn with_drawn_outputs(
    mut request: ExperimentRequest,
    prompts: &Prompts,
    problems: &mut Vec<FieldProblem>,
) -> ExperimentRequest {
    let Prompts::Synthetic { synthetic } = prompts else {
        return request;
    };
    let Some((shortest, longest)) = synthetic.output_length.as_ref().map(TokenLength::bounds) else {
        return request;
    };
    for (pointer, asked, bound) in [
        ("/min_output_tokens", &mut request.min_output_tokens, shortest),
        ("/max_output_tokens", &mut request.max_output_tokens, longest),
    ] {
        let given = asked.replace(bound);
        if let Some(given) = given.filter(|given| *given != bound) {
            let detail = format!(
                "is {given} while prompts.synthetic.output_length gives {shortest} to {longest} tokens; accepted is {bound}, or \
                 nothing"
            );
            problems.push(FieldProblem::new(pointer, detail));
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::parse;

    fn bounded(fields: Value) -> Result<(Option<u32>, Option<u32>), String> {
        let mut document = json!({"model_name": "m", "prompts": {"synthetic": {
            "input_tokens": 8, "count": 2, "seed": 1, "output_length": {"mean": 20, "stddev": 5, "min": 4},
        }}});
        document
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let request = parse(&document).unwrap();
        let (prompts, mut problems) = (request.prompts.clone().unwrap(), Vec::new());
        let request = with_drawn_outputs(request, &prompts, &mut problems);
        match problems.pop() {
            Some(problem) => Err(format!("{} {}", problem.pointer, problem.detail)),
            None => Ok((request.min_output_tokens, request.max_output_tokens)),
        }
    }

    #[test]
    fn the_bounds_of_drawn_outputs_are_filled_in_and_no_others_are_accepted() {
        assert_eq!(bounded(json!({})), Ok((Some(4), Some(35))));
        assert_eq!(
            bounded(json!({"min_output_tokens": 4, "max_output_tokens": 35})),
            Ok((Some(4), Some(35)))
        );
        let refused = bounded(json!({"max_output_tokens": 128})).unwrap_err();
        assert_eq!(
            refused,
            "/max_output_tokens is 128 while prompts.synthetic.output_length gives 4 to 35 tokens; accepted is 35, or nothing"
        );
    }
}
