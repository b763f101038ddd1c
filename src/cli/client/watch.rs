//! Follows an experiment with messages and a progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{quantity, session::Session};
use crate::client::{Progress, Update};
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock::Monotonic;

/// Length of the bar, in steps.
const BAR_LENGTH: u64 = 1000;

/// Follows an experiment until it ends. Prints a line for each state, and a progress bar if standard error is a
/// terminal.
pub async fn watch(session: &Session, id: ExperimentId, mut each_state: impl FnMut(State)) -> anyhow::Result<State> {
    session.reporter.set_interruption_note(format!(
        "the experiment goes on; watch it with\n  joulemark status {id} --watch\nor cancel it with\n  joulemark cancel {id}"
    ));
    let bar = session.reporter.bar(new_bar());
    let begun = Monotonic::now();
    let mut reached = 0;
    let outcome = session.server.follow(id, |update| match update {
        Update::State(state) => {
            let after = Monotonic::now().sec_since(begun);
            session.reporter.say(&format!("{after:8.1} s  {state}"));
            if let Some(bar) = &bar {
                bar.set_prefix(state.as_str());
                bar.set_message("");
            }
            each_state(state);
        }
        Update::Progress(progress) => {
            if let Some(bar) = &bar {
                if let Some(phase) = &progress.phase {
                    bar.set_prefix(phase.clone());
                }
                bar.set_message(sentence(&progress));
                // The estimate may grow, but the bar must not move back.
                reached = reached.max(done(&progress).unwrap_or(0));
                bar.set_position(reached);
            }
        }
    });
    let state = outcome.await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let state = state?;
    session.reporter.set_interruption_note("");
    Ok(state)
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::new(BAR_LENGTH);
    let style = ProgressStyle::with_template("{spinner} {prefix} [{bar:20}] {msg}");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Returns the completed part of the run in steps of the bar; `None` while it cannot be estimated.
fn done(progress: &Progress) -> Option<u64> {
    let (elapsed, eta) = (progress.elapsed_sec?, progress.eta_sec?);
    let whole = elapsed + eta;
    (whole > 0.0).then(|| (elapsed / whole * BAR_LENGTH as f64).clamp(0.0, BAR_LENGTH as f64) as u64)
}

/// Returns the known values of the progress as text.
fn sentence(progress: &Progress) -> String {
    let cycle = progress.cycle.map(|cycle| match progress.num_cycles {
        Some(all) => format!("cycle {} of {all}", cycle + 1),
        None => format!("cycle {}", cycle + 1),
    });
    let tokens = progress.generated_tokens.filter(|tokens| *tokens > 0);
    let parts = [
        cycle,
        tokens.map(|tokens| format!("{tokens} tokens")),
        progress
            .tokens_per_second
            .map(|rate| format!("{} tokens/s", quantity::brief(rate))),
        progress.power_w.map(|watts| format!("{} W", quantity::brief(watts))),
        progress.eta_sec.map(|sec| format!("ETA {}", quantity::duration(sec))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_values_are_omitted() {
        assert_eq!(sentence(&Progress::default()), "");
        let progress = Progress {
            cycle: Some(0),
            num_cycles: Some(3),
            generated_tokens: Some(96),
            tokens_per_second: Some(30.12),
            power_w: Some(6.266),
            eta_sec: Some(75.2),
            ..Progress::default()
        };
        assert_eq!(
            sentence(&progress),
            "cycle 1 of 3, 96 tokens, 30.1 tokens/s, 6.27 W, ETA 1 min 15 s"
        );
    }

    proptest! {
        #[test]
        fn the_bar_never_leaves_its_length(elapsed in 0.0..1e9_f64, eta in 0.0..1e9_f64) {
            let progress = Progress { elapsed_sec: Some(elapsed), eta_sec: Some(eta), ..Progress::default() };
            prop_assert!(done(&progress).is_none_or(|done| done <= BAR_LENGTH));
        }
    }
}
