use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Progress;
use joulemark_experiment::{ExperimentId, Transition};

/// How far an experiment was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub id: ExperimentId,
    pub progress: Progress,
}

/// What listeners are told, kept once for all of them: the last changes of state, and of progress the newest alone. A
/// listener keeps nothing but how far it has read, so that a slow one costs nothing and skips no change.
#[derive(Clone, Debug)]
pub struct Channel {
    most: usize,
    moves: VecDeque<Arc<Transition>>,
    /// Changes up to this number may be missing here.
    missing_up_to: i64,
    progress: BTreeMap<ExperimentId, (u64, Arc<Snapshot>)>,
    told: u64,
}

/// What is new to a listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    pub moves: Vec<Arc<Transition>>,
    pub progress: Vec<Arc<Snapshot>>,
    /// What to ask for the next time.
    pub told: u64,
}

impl Channel {
    /// `most` changes are kept; all up to `newest` are past.
    pub fn new(most: usize, newest: i64) -> Self {
        Self {
            most,
            moves: VecDeque::new(),
            missing_up_to: newest,
            progress: BTreeMap::new(),
            told: 0,
        }
    }

    pub fn tell_move(&mut self, transition: &Arc<Transition>) {
        if !transition.state.is_running() {
            self.progress.remove(&transition.id);
        }
        self.moves.push_back(transition.clone());
        if self.moves.len() > self.most
            && let Some(oldest) = self.moves.pop_front()
        {
            self.missing_up_to = oldest.seq;
        }
    }

    pub fn tell_progress(&mut self, snapshot: &Arc<Snapshot>) {
        self.told += 1;
        self.progress.insert(snapshot.id, (self.told, snapshot.clone()));
    }

    /// Before the channel began, or as far as it has forgotten.
    pub fn missing_up_to(&self) -> i64 {
        self.missing_up_to
    }

    /// The number of the newest progress.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// What came after the change numbered `seen` and the progress numbered `told`; none when changes in between are
    /// gone from here, and must be read from the database.
    pub fn since(&self, seen: i64, told: u64) -> Option<Heard> {
        if seen < self.missing_up_to {
            return None;
        }
        let first = self.moves.partition_point(|transition| transition.seq <= seen);
        let newer = self.progress.values().filter(|(number, _)| *number > told);
        Some(Heard {
            moves: self.moves.range(first..).cloned().collect(),
            progress: newer.map(|(_, snapshot)| snapshot.clone()).collect(),
            told: self.told,
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
    fn of_progress_only_the_newest_is_told_and_none_of_what_is_over() {
        let (one, other) = (ExperimentId::generate(), ExperimentId::generate());
        let mut channel = Channel::new(8, 0);
        for tokens in 0..100 {
            channel.tell_progress(&snapshot(one, tokens));
        }
        channel.tell_progress(&snapshot(other, 7));
        let heard = channel.since(0, 0).unwrap();
        let mut tokens: Vec<_> = heard.progress.iter().map(|s| s.progress.generated_tokens).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [7, 99]);
        assert_eq!(channel.since(0, heard.told).unwrap().progress, []);
        channel.tell_move(&transition(1, one, State::Failed));
        assert_eq!(channel.since(0, 0).unwrap().progress.len(), 1);
    }

    proptest! {
        /// However seldom a listener looks, it hears every change once and in order, or is told to ask the database.
        #[test]
        fn no_change_is_skipped_in_silence(looks in prop::collection::vec(0_usize..12, 1..40), newest in 0_i64..5) {
            let id = ExperimentId::generate();
            let mut channel = Channel::new(8, newest);
            let (mut seen, mut next) = (newest, newest + 1);
            for told_between in looks {
                for _ in 0..told_between {
                    channel.tell_move(&transition(next, id, State::Queued));
                    next += 1;
                }
                match channel.since(seen, 0) {
                    Some(heard) => {
                        let numbers: Vec<_> = heard.moves.iter().map(|transition| transition.seq).collect();
                        prop_assert_eq!(numbers, (seen + 1..next).collect::<Vec<_>>());
                    }
                    None => prop_assert!(told_between > 8),
                }
                seen = next - 1;
            }
        }
    }
}
