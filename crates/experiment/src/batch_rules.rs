use super::Prompts;
use super::choices::Device;
use super::field::FieldProblem;
use super::submission::Spec;

/// Refuses a batch that mistral.rs 0.8.1 does not decode as one: on the CPU its attention mixes the sequences up, and on any
/// device it decodes together only those of one length.
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
            "prompts may differ in their tokens (take prompts.synthetic, or cut all to max_input_tokens)".to_owned(),
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
        differs.push("a prompt has a max_output_tokens of its own".to_owned());
    }
    if differs.is_empty() {
        return None;
    }
    Some(FieldProblem::new(
        "/batch_size",
        format!(
            "is {}; mistral.rs 0.8.1 decodes together only sequences of one length, and rightly only on cuda, but {}; accepted \
             is 1: for several at once take num_processes, or an engine that batches (GET /v1/nodes lists them under servers)",
            spec.batch_size,
            differs.join(", ")
        ),
    ))
}
