//! Progress and remaining time of the experiments that run on this server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::pace::{Pace, eta_sec};
use joulemark_experiment::{ExperimentId, Spec, State};
use joulemark_measurement::clock::Monotonic;

/// Phase of a running experiment, more detailed than its state.
///
/// - `loading`: workers start and load the model
/// - `warming_up`: passes that are not measured
/// - `idle_baseline`: the model is in memory and nothing computes, for the loaded idle baseline
/// - `measuring`: the measured cycles
/// - `aggregating`: all cycles are measured; the result is computed and stored
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
// Named differently in the schema, which also has the phases of energy.
#[schema(as = RunPhase)]
pub enum Phase {
    #[default]
    Loading,
    WarmingUp,
    IdleBaseline,
    Measuring,
    Aggregating,
}

impl Phase {
    /// Returns the state that the phase belongs to.
    pub fn state(self) -> State {
        match self {
            Self::Loading => State::Starting,
            Self::WarmingUp | Self::IdleBaseline => State::WarmingUp,
            Self::Measuring => State::Measuring,
            Self::Aggregating => State::Aggregating,
        }
    }
}

/// Progress of a running experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    pub phase: Phase,
    /// Number of the running measured cycle, counted from 0; null before the first.
    pub cycle: Option<u32>,
    /// Number of cycles that will be measured.
    pub num_cycles: u32,
    /// Tokens generated since the models were loaded, over all ranks, including warm-up.
    pub generated_tokens: u64,
    /// Tokens per second over all ranks in the last 5 s of this phase; null when none are generated.
    #[schema(example = 30.1)]
    pub tokens_per_second: Option<f64>,
    /// Present power of all leased devices in watts, the sum of `gpu_power_w` and `cpu_power_w`; null when one of them
    /// is unknown.
    #[schema(example = 6.2)]
    pub power_w: Option<f64>,
    /// Present power of the leased GPUs in watts; null when none is leased or one is unknown.
    pub gpu_power_w: Option<f64>,
    /// Present power of the host's CPU packages in watts, including other programs' load; null when the CPU is not
    /// leased or its power is unknown.
    #[schema(example = 6.2)]
    pub cpu_power_w: Option<f64>,
    /// Seconds since the workers began to load.
    #[schema(example = 4.2)]
    pub elapsed_sec: f64,
    /// Estimated seconds until the last cycle ends: the remaining tokens at the average time per token of the cycles so
    /// far. Until the first cycle has ended, each prompt counts with all of its `max_output_tokens`. Null before the
    /// first token of the first cycle.
    #[schema(example = 8.0)]
    pub eta_sec: Option<f64>,
}

/// Amount of work of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    num_cycles: u32,
    max_tokens_per_cycle: Option<u64>,
}

impl Plan {
    /// Returns the plan of an experiment.
    pub fn from_spec(spec: &Spec) -> Self {
        Self {
            num_cycles: spec.num_cycles,
            max_tokens_per_cycle: spec.max_output_tokens_of_a_cycle(),
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    plan: Plan,
    began: Monotonic,
    phase: Phase,
    cycle: Option<u32>,
    tokens: u64,
    pace: Pace,
    /// Tokens and seconds of the warm-up; `None` until it has ended.
    warm_up: Option<(u64, f64)>,
}

/// Remaining time of a run, estimated from its own pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    pub elapsed_sec: f64,
    pub left_sec: f64,
    /// Whether the estimate is from the cycles so far; otherwise it is from the warm-up.
    pub by_cycles: bool,
}

impl Entry {
    fn outlook(&self, now: Monotonic) -> Option<Outlook> {
        let by_cycles = match self.phase {
            Phase::Aggregating => Some(0.0),
            _ => self.eta_sec(now),
        };
        let warm_up = match self.phase {
            Phase::WarmingUp => self.pace.so_far(now),
            _ => self.warm_up,
        };
        let all_tokens = self
            .plan
            .max_tokens_per_cycle
            .map(|tokens| tokens * u64::from(self.plan.num_cycles));
        let by_warm_up = || {
            let (tokens, sec) = warm_up?;
            eta_sec((tokens, sec), all_tokens?.saturating_add(tokens))
        };
        Some(Outlook {
            elapsed_sec: now.sec_since(self.began),
            left_sec: by_cycles.or_else(by_warm_up)?,
            by_cycles: by_cycles.is_some(),
        })
    }

    fn progress(&self, now: Monotonic) -> Progress {
        Progress {
            phase: self.phase,
            cycle: self.cycle,
            num_cycles: self.plan.num_cycles,
            generated_tokens: self.tokens,
            tokens_per_second: self.pace.lately(now),
            elapsed_sec: now.sec_since(self.began),
            eta_sec: self.eta_sec(now),
            ..Progress::default()
        }
    }

    fn eta_sec(&self, now: Monotonic) -> Option<f64> {
        let cycle = self.cycle.filter(|_| self.phase == Phase::Measuring)?;
        let so_far = self.pace.so_far(now)?;
        let cycles = u64::from(self.plan.num_cycles);
        let expected = match self.pace.marked() {
            // Average number of tokens of the finished cycles.
            Some(done) if cycle > 0 => done * cycles / u64::from(cycle),
            _ => self.plan.max_tokens_per_cycle? * cycles,
        };
        eta_sec(so_far, expected)
    }
}

/// Progress of all experiments of this server. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ProgressBoard(Arc<Mutex<HashMap<ExperimentId, Entry>>>);

impl ProgressBoard {
    fn entries(&self) -> MutexGuard<'_, HashMap<ExperimentId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the progress of an experiment without power, which the meter knows; `None` when it does not run here.
    pub fn get(&self, id: ExperimentId, now: Monotonic) -> Option<Progress> {
        self.entries().get(&id).map(|entry| entry.progress(now))
    }

    /// Returns the elapsed and the remaining time of an experiment; `None` before its first token.
    pub fn outlook(&self, id: ExperimentId, now: Monotonic) -> Option<Outlook> {
        self.entries().get(&id)?.outlook(now)
    }

    /// Returns the ids of all running experiments.
    pub fn ids(&self) -> Vec<ExperimentId> {
        self.entries().keys().copied().collect()
    }

    /// Adds an experiment, which now begins to load.
    pub fn begin(&self, id: ExperimentId, plan: Plan, now: Monotonic) {
        let entry = Entry {
            plan,
            began: now,
            phase: Phase::Loading,
            cycle: None,
            tokens: 0,
            pace: Pace::default(),
            warm_up: None,
        };
        self.entries().insert(id, entry);
    }

    /// Records the start of a phase.
    pub fn enter(&self, id: ExperimentId, phase: Phase, now: Monotonic) {
        if let Some(entry) = self.entries().get_mut(&id) {
            if entry.phase == Phase::WarmingUp {
                entry.warm_up = entry.pace.so_far(now);
            }
            entry.phase = phase;
            entry.pace = Pace::default();
            entry.pace.note(now, entry.tokens);
        }
    }

    /// Records the start of a measured cycle.
    pub fn cycle(&self, id: ExperimentId, cycle: u32, now: Monotonic) {
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.cycle = Some(cycle);
            entry.pace.note(now, entry.tokens);
            entry.pace.mark();
        }
    }

    /// Records the number of tokens since the models were loaded. A smaller number than before is ignored.
    pub fn tokens(&self, id: ExperimentId, tokens: u64, now: Monotonic) {
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.tokens = entry.tokens.max(tokens);
            entry.pace.note(now, entry.tokens);
        }
    }

    /// Removes an experiment.
    pub fn clear(&self, id: ExperimentId) {
        self.entries().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sec: f64) -> Monotonic {
        Monotonic::from_sec(50.0 + sec)
    }

    #[test]
    fn the_remaining_time_is_estimated_from_the_request_and_then_from_finished_cycles() {
        let (board, id) = (ProgressBoard::default(), ExperimentId::generate());
        let plan = Plan {
            num_cycles: 4,
            max_tokens_per_cycle: Some(100),
        };
        board.begin(id, plan, at(0.0));
        board.enter(id, Phase::WarmingUp, at(1.0));
        board.tokens(id, 30, at(3.0));
        assert_eq!(board.get(id, at(3.0)).unwrap().eta_sec, None);
        board.enter(id, Phase::Measuring, at(5.0));
        board.cycle(id, 0, at(5.0));
        assert_eq!(board.get(id, at(6.0)).unwrap().eta_sec, None);
        board.tokens(id, 50, at(7.0));
        // 20 tokens in 2 s, at most 400 in all.
        assert_eq!(board.get(id, at(7.0)).unwrap().eta_sec, Some(38.0));
        board.tokens(id, 80, at(10.0));
        board.cycle(id, 1, at(10.0));
        let shown = board.get(id, at(10.0)).unwrap();
        // A cycle has 50 tokens and takes 5 s.
        assert_eq!(
            (shown.eta_sec, shown.cycle, shown.generated_tokens),
            (Some(15.0), Some(1), 80)
        );
        assert_eq!((shown.elapsed_sec, shown.tokens_per_second), (10.0, Some(10.0)));
        board.enter(id, Phase::Aggregating, at(25.0));
        assert_eq!(board.get(id, at(25.0)).unwrap().eta_sec, None);
        board.clear(id);
        assert_eq!(board.get(id, at(26.0)), None);
    }

    #[test]
    fn the_duration_is_estimated_from_the_warm_up_and_then_from_the_cycles() {
        let (board, id) = (ProgressBoard::default(), ExperimentId::generate());
        let plan = Plan {
            num_cycles: 4,
            max_tokens_per_cycle: Some(100),
        };
        board.begin(id, plan, at(0.0));
        assert_eq!(board.outlook(id, at(1.0)), None);
        board.enter(id, Phase::WarmingUp, at(1.0));
        board.tokens(id, 30, at(3.0));
        let of = |now| {
            let outlook = board.outlook(id, now).unwrap();
            (outlook.elapsed_sec.round(), outlook.left_sec.round(), outlook.by_cycles)
        };
        // 30 tokens in 2 s, and 400 to come.
        assert_eq!(of(at(3.0)), (3.0, 27.0, false));
        board.enter(id, Phase::IdleBaseline, at(3.0));
        assert_eq!(of(at(4.0)), (4.0, 27.0, false));
        board.enter(id, Phase::Measuring, at(5.0));
        board.cycle(id, 0, at(5.0));
        board.tokens(id, 130, at(10.0));
        board.cycle(id, 1, at(10.0));
        assert_eq!(of(at(10.0)), (10.0, 15.0, true));
        board.enter(id, Phase::Aggregating, at(25.0));
        assert_eq!(of(at(25.0)), (25.0, 0.0, true));
    }

    #[test]
    fn a_phase_belongs_to_a_running_state() {
        for phase in [
            Phase::Loading,
            Phase::WarmingUp,
            Phase::IdleBaseline,
            Phase::Measuring,
            Phase::Aggregating,
        ] {
            assert!(phase.state().is_running());
        }
    }
}
