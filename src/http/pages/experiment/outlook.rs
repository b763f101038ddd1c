//! The section on progress and the expected duration.

use askama::Template;

use crate::http::experiments::view::Experiment;
use crate::number;
use joulemark_experiment::{DurationEstimate, DurationMethod, State};

/// Progress of an unfinished experiment.
#[derive(Template)]
#[template(path = "experiment/outlook.html")]
pub struct Outlook {
    id: String,
    phase: String,
    is_queued: bool,
    position: Option<u64>,
    /// What it waits for, as a sentence.
    why: Option<String>,
    /// Whether no live node can run it at present.
    is_stuck: bool,
    /// Experiments that hold the devices it waits for.
    held_by: Vec<String>,
    tokens_per_second: String,
    generated_tokens: String,
    power: String,
    elapsed: String,
    left: String,
    /// Completed cycles and all cycles; `None` before the first.
    cycles: Option<(u32, u32)>,
    estimate: Option<String>,
}

impl Outlook {
    /// Returns the progress; `None` once the experiment is finished.
    pub fn of(experiment: &Experiment) -> Option<Self> {
        if experiment.state.is_finished() {
            return None;
        }
        let progress = experiment.progress.clone().unwrap_or_default();
        let is_known = experiment.progress.is_some();
        let or_dash = |text: Option<String>| text.filter(|_| is_known).unwrap_or_else(|| "–".to_owned());
        let wait = experiment.queue_wait.as_ref();
        let held_by = wait.map_or(&[][..], |wait| &wait.held_by);
        Some(Self {
            id: experiment.id.to_string(),
            phase: phase(experiment),
            is_queued: experiment.state == State::Queued,
            position: experiment.queue_position,
            why: wait.map(|wait| wait.message.clone()),
            is_stuck: experiment.waiting_for.is_some(),
            held_by: held_by
                .iter()
                .filter_map(|holder| holder.experiment_id.map(|id| id.to_string()))
                .collect(),
            tokens_per_second: or_dash(progress.tokens_per_second.map(number::plain)),
            generated_tokens: or_dash(Some(progress.generated_tokens.to_string())),
            power: match progress.power_w {
                Some(power_w) => format!("{} W", number::plain(power_w)),
                None => number::UNKNOWN.to_owned(),
            },
            elapsed: or_dash(Some(number::duration(progress.elapsed_sec))),
            left: or_dash(progress.eta_sec.map(number::duration)),
            cycles: progress.cycle.map(|cycle| (cycle, progress.num_cycles)),
            estimate: experiment.duration_estimate.as_ref().map(estimate),
        })
    }
}

fn phase(experiment: &Experiment) -> String {
    let state = experiment.state.as_str().replace('_', " ");
    match experiment
        .progress
        .as_ref()
        .and_then(|progress| Some((progress.cycle?, progress.num_cycles)))
    {
        Some((cycle, of)) => format!("{state}, cycle {} of {of}", cycle + 1),
        None => state,
    }
}

/// Returns the expected duration with its range and its basis.
fn estimate(estimate: &DurationEstimate) -> String {
    let Some(sec) = estimate.duration_sec else {
        let reason = estimate.reason.as_deref().unwrap_or("no estimate is available");
        return format!("unknown: {reason}");
    };
    let range = match estimate.least_sec.zip(estimate.most_sec) {
        Some((least, most)) => format!(" ({} to {})", number::duration(least), number::duration(most)),
        None => String::new(),
    };
    let by = match estimate.method {
        Some(DurationMethod::PastRuns) => format!(", from {} past runs", estimate.runs),
        Some(DurationMethod::WarmUp) => ", from its warm-up".to_owned(),
        Some(DurationMethod::MeasuredCycles) => ", from its cycles so far".to_owned(),
        None => String::new(),
    };
    format!("{}{range}{by}", number::duration(sec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_shown_with_range_and_basis_or_with_the_reason_for_none() {
        let known = DurationEstimate {
            duration_sec: Some(74.0),
            least_sec: Some(50.0),
            most_sec: Some(90.0),
            method: Some(DurationMethod::PastRuns),
            runs: 3,
            reason: None,
        };
        assert_eq!(estimate(&known), "1 min 14 s (50.0 s to 1 min 30 s), from 3 past runs");
        assert_eq!(
            estimate(&DurationEstimate::unknown("no past run")),
            "unknown: no past run"
        );
    }
}
