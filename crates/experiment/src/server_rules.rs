use super::choices::FpPrecision;
use super::field::FieldProblem;
use super::submission::Spec;

/// Returns a problem for each field that a server would ignore because it decides the matter itself.
pub fn server_problems(spec: &Spec) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut refuse = |is_asked: bool, pointer: &str, detail: &str| {
        if is_asked {
            problems.push(FieldProblem::new(pointer, detail));
        }
    };
    let processes = format!(
        "is {}; accepted is 1 for an engine that is a server",
        spec.num_processes
    );
    refuse(spec.num_processes != 1, "/num_processes", &processes);
    let of_its_own = "is decided by the server itself; leave it out";
    refuse(spec.fp_precision != FpPrecision::Auto, "/fp_precision", of_its_own);
    refuse(spec.quantization.is_some(), "/quantization", of_its_own);
    let no_tokens = "needs the model's tokens, but a server takes text; leave it out";
    refuse(spec.max_input_tokens.is_some(), "/max_input_tokens", no_tokens);
    let has_none = "has no counterpart in OpenAI's API, so that a server would ignore it; leave it out";
    let has_rule = spec.decoder.no_repeat_ngram_size.is_some();
    refuse(has_rule, "/decoder/no_repeat_ngram_size", has_none);
    let has_lengths = spec.prompt_lines.iter().any(|line| line.input_length.is_some());
    let no_tokens = "has lines of random tokens (input_length), but a server takes text; accepted are prompt, messages, or lines with only a timestamp";
    refuse(has_lengths, "/load/replay/file", no_tokens);
    problems
}
