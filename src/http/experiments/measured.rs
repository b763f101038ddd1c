//! Stored results in the form in which they are compared.

use super::view::hides_texts;
use crate::http::access::Caller;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_analysis::comparison::{MeasuredResult, Subject, Turns};
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::report::Report;
use joulemark_experiment::sweep::SweepOrder;
use joulemark_experiment::{ExperimentId, PromptIdentity, State};
use joulemark_store::Record;

/// Returns a stored result for a comparison, as the caller may see it.
pub fn measured(record: Record, report: Report, caller: &Caller) -> MeasuredResult {
    let submitter = record.submitter.as_deref();
    let prompts = PromptIdentity::of(&record.spec, None, record.dropped_prompts.as_ref());
    // The hash of a file is part of every answer.
    let is_hidden = !record.spec.has_prompts_of_a_file() && hides_texts(&record.spec, submitter, caller);
    let prompts = prompts.map(|prompts| if is_hidden { prompts.hidden(submitter) } else { prompts });
    MeasuredResult {
        is_partial: record.state == State::Cancelled,
        ..MeasuredResult::new(record.id.to_string(), report, record.spec, prompts)
    }
}

/// Returns a point of a sweep for a comparison: each completed repeat is one sample. In a sweep without repeats the
/// cycles of the only run are the samples.
///
/// # Errors
/// Returns a text that says why there is nothing to compare, or a [`Problem`] if the database fails.
pub async fn of_point(
    state: &AppState,
    caller: &Caller,
    (sweep, point): (ExperimentId, u32),
    metrics: &[&'static Metric],
) -> Result<Result<Subject, String>, Problem> {
    let store = &state.resources.store;
    let Some(record) = store.sweep(sweep).await? else {
        return Ok(Err(format!("there is no sweep {sweep}")));
    };
    let points = record.request.point_count();
    if point as usize >= points {
        return Ok(Err(format!(
            "is not a point of that sweep; accepted are 0 to {}",
            points.saturating_sub(1)
        )));
    }
    let (mut results, mut turn) = (Vec::new(), Vec::new());
    for run in store.sweep_runs(sweep).await? {
        if run.placement.point != point || run.state != State::Completed {
            continue;
        }
        if let (Some(record), Some(report)) = (store.get(run.experiment).await?, store.report(run.experiment).await?) {
            results.push(measured(record, report, caller));
            turn.push(run.placement.repeat);
        }
    }
    let name = format!("{sweep}/{point}");
    if let (1, [only]) = (record.request.repeats, &mut results[..]) {
        only.name = name;
        return Ok(Ok(Subject::new(only, metrics)));
    }
    let turns = (record.request.order == SweepOrder::Interleaved).then(|| Turns {
        among: sweep.to_string(),
        turn,
    });
    let subject = Subject::of_repeats(&name, &results, metrics, turns);
    Ok(subject.ok_or_else(|| "has no completed repeat".to_owned()))
}
