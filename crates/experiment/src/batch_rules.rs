use super::Prompts;
use super::choices::Device;
use super::field::FieldProblem;
use super::submission::Spec;

/// Returns a problem for a batch that mistral.rs 0.8.1 does not decode correctly: on the CPU its attention mixes up the
/// sequences, and on any device it only decodes sequences of equal length together.
pub fn batch_problem(spec: &Spec) -> Option<FieldProblem> {
    if spec.batch_size <= 1 {
        return None;
    }
    let mut differs = Vec::new();
    if spec.device != Device::Cuda {
        differs.push("the device is the CPU".to_owned());
    }
    let is_random = matches!(spec.prompts, Prompts::Synthetic { .. }) && spec.prompt_lines.is_empty();
    if !is_random && spec.max_input_tokens.is_none() {
        differs.push(
            "prompts may differ in their number of tokens (use prompts.synthetic, or cut all to max_input_tokens)"
                .to_owned(),
        );
    }
    if let Prompts::Synthetic { synthetic } = &spec.prompts {
        let cut = spec.max_input_tokens.unwrap_or(u32::MAX);
        let (shortest, longest) = synthetic.input_bounds();
        if shortest.min(cut) != longest.min(cut) {
            differs.push(format!(
                "prompts.synthetic.input_length gives {shortest} to {longest} tokens (cut all to max_input_tokens)"
            ));
        }
    }
    let (least, most) = (spec.min_output_tokens, spec.max_output_tokens);
    if least != most {
        differs.push(format!("min_output_tokens is {least} and max_output_tokens {most}"));
    }
    let lines = 0..spec.prompt_lines.len() as u32;
    if lines.into_iter().any(|line| spec.max_output_tokens_of(line) != most) {
        differs.push("a prompt has its own max_output_tokens".to_owned());
    }
    if differs.is_empty() {
        return None;
    }
    Some(FieldProblem::new(
        "/batch_size",
        format!(
            "is {}; mistral.rs 0.8.1 decodes only sequences of equal length together, and correctly only on cuda, but {}; accepted \
             is 1: to run several at the same time use num_processes, or an engine that batches (servers in GET /v1/nodes)",
            spec.batch_size,
            differs.join(", ")
        ),
    ))
}
