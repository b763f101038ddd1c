//! Buffer of the events that listeners have not read yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Progress;
use joulemark_experiment::{ExperimentId, Transition};

/// Progress of an experiment at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub id: ExperimentId,
    pub progress: Progress,
}

/// Buffer of events that all listeners share: the last changes of state, and the latest progress of each experiment. A
/// listener stores only the position up to which it has read, so a slow listener costs no memory and misses no change.
#[derive(Clone, Debug)]
pub struct Channel {
    capacity: usize,
    moves: VecDeque<Arc<Transition>>,
    /// Number of the last change that may be missing in `moves`.
    missing_up_to: i64,
    progress: BTreeMap<ExperimentId, (u64, Arc<Snapshot>)>,
    progress_number: u64,
}

/// Events that are new to a listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    pub moves: Vec<Arc<Transition>>,
    pub progress: Vec<Arc<Snapshot>>,
    /// Number of the latest progress, from which to ask next.
    pub told: u64,
}

impl Channel {
    /// Creates a buffer of at most `capacity` changes. It will contain changes after number `newest`.
    pub fn new(capacity: usize, newest: i64) -> Self {
        Self {
            capacity,
            moves: VecDeque::new(),
            missing_up_to: newest,
            progress: BTreeMap::new(),
            progress_number: 0,
        }
    }

    /// Adds a change of state. Drops the oldest one when the buffer is full.
    pub fn push_transition(&mut self, transition: &Arc<Transition>) {
        if !transition.state.is_running() {
            self.progress.remove(&transition.id);
        }
        self.moves.push_back(transition.clone());
        if self.moves.len() > self.capacity
            && let Some(oldest) = self.moves.pop_front()
        {
            self.missing_up_to = oldest.seq;
        }
    }

    /// Replaces the progress of an experiment.
    pub fn push_progress(&mut self, snapshot: &Arc<Snapshot>) {
        self.progress_number += 1;
        self.progress
            .insert(snapshot.id, (self.progress_number, snapshot.clone()));
    }

    /// Returns the number of the last change that may be missing here.
    pub fn missing_up_to(&self) -> i64 {
        self.missing_up_to
    }

    /// Returns the number of the latest progress.
    pub fn progress_number(&self) -> u64 {
        self.progress_number
    }

    /// Returns the changes after the one numbered `seen` and the progress after the one numbered `told`; `None` when
    /// changes in between have been dropped and must be read from the database.
    pub fn since(&self, seen: i64, told: u64) -> Option<Heard> {
        if seen < self.missing_up_to {
            return None;
        }
        let first = self.moves.partition_point(|transition| transition.seq <= seen);
        let newer = self.progress.values().filter(|(number, _)| *number > told);
        Some(Heard {
            moves: self.moves.range(first..).cloned().collect(),
            progress: newer.map(|(_, snapshot)| snapshot.clone()).collect(),
            told: self.progress_number,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use joulemark_experiment::State;

    fn transition(seq: i64, id: ExperimentId, state: State) -> Arc<Transition> {
        Arc::new(Transition {
            seq,
            id,
            state,
            attempt: 1,
            at: Timestamp::UNIX_EPOCH,
            user: None,
            labels: BTreeMap::new(),
        })
    }

    fn snapshot(id: ExperimentId, generated_tokens: u64) -> Arc<Snapshot> {
        let progress = Progress {
            generated_tokens,
            ..Progress::default()
        };
        Arc::new(Snapshot { id, progress })
    }

    #[test]
    fn only_the_latest_progress_of_running_experiments_is_returned() {
        let (one, other) = (ExperimentId::generate(), ExperimentId::generate());
        let mut channel = Channel::new(8, 0);
        for tokens in 0..100 {
            channel.push_progress(&snapshot(one, tokens));
        }
        channel.push_progress(&snapshot(other, 7));
        let heard = channel.since(0, 0).unwrap();
        let mut tokens: Vec<_> = heard.progress.iter().map(|s| s.progress.generated_tokens).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [7, 99]);
        assert_eq!(channel.since(0, heard.told).unwrap().progress, []);
        channel.push_transition(&transition(1, one, State::Failed));
        assert_eq!(channel.since(0, 0).unwrap().progress.len(), 1);
    }

    proptest! {
        /// However rarely a listener reads, it gets every change once and in order, or must ask the database.
        #[test]
        fn no_change_is_skipped_silently(reads in prop::collection::vec(0_usize..12, 1..40), newest in 0_i64..5) {
            let id = ExperimentId::generate();
            let mut channel = Channel::new(8, newest);
            let (mut seen, mut next) = (newest, newest + 1);
            for pushed_between in reads {
                for _ in 0..pushed_between {
                    channel.push_transition(&transition(next, id, State::Queued));
                    next += 1;
                }
                match channel.since(seen, 0) {
                    Some(heard) => {
                        let numbers: Vec<_> = heard.moves.iter().map(|transition| transition.seq).collect();
                        prop_assert_eq!(numbers, (seen + 1..next).collect::<Vec<_>>());
                    }
                    None => prop_assert!(pushed_between > 8),
                }
                seen = next - 1;
            }
        }
    }
}
