use super::view::hides_texts;
use crate::http::access::Caller;
use joulemark_analysis::comparison::MeasuredResult;
use joulemark_experiment::report::Report;
use joulemark_experiment::{PromptIdentity, State};
use joulemark_store::Record;

/// Returns what a comparison takes of a stored result, as the caller may see it.
pub fn measured(record: Record, report: Report, caller: &Caller) -> MeasuredResult {
    let submitter = record.submitter.as_deref();
    let prompts = PromptIdentity::of(&record.spec, None, record.dropped_prompts.as_ref());
    // A file's hash is in every answer.
    let is_hidden = !record.spec.has_prompts_of_a_file() && hides_texts(&record.spec, submitter, caller);
    let prompts = prompts.map(|prompts| if is_hidden { prompts.hidden(submitter) } else { prompts });
    MeasuredResult {
        is_partial: record.state == State::Cancelled,
        ..MeasuredResult::new(record.id.to_string(), report, record.spec, prompts)
    }
}
