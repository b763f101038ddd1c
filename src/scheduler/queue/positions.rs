//! Positions of experiments in the queue.

use std::collections::{HashMap, HashSet};

use super::order::{Turn, charged_sec, to_us};
use joulemark_experiment::{ExperimentId, Requirements};

/// Positions in the queue as of one snapshot. An experiment that was submitted since is inserted where a new ordering
/// would put it, without ordering everything again. The same user's experiments of lower priority keep their positions
/// until the next snapshot.
#[derive(Debug, Default)]
pub struct Positions {
    /// Queued experiments in the order of their turns.
    ordered: Vec<Entry>,
    known: HashSet<ExperimentId>,
    /// Device-time in microseconds that each user will have attained after all of the user's experiments of a priority
    /// have had their turns.
    attained_us: HashMap<(String, i32), u64>,
    /// Device-seconds that each user has attained before any turn.
    device_sec: HashMap<String, f64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: ExperimentId,
    priority: i32,
    attained_us: u64,
}

/// An experiment that was submitted after the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    pub id: ExperimentId,
    pub user: &'a str,
    pub priority: i32,
    pub requirements: &'a Requirements,
}

impl Positions {
    /// Creates the positions from the ordered queue.
    pub fn new(turns: Vec<Turn>, device_sec: HashMap<String, f64>) -> Self {
        let mut positions = Self {
            ordered: Vec::with_capacity(turns.len()),
            known: turns.iter().map(|turn| turn.waiting.id).collect(),
            attained_us: HashMap::new(),
            device_sec,
        };
        for Turn { waiting, attained_us } in turns {
            positions.ordered.push(Entry {
                id: waiting.id,
                priority: waiting.priority,
                attained_us,
            });
            let after_us = attained_us + to_us(charged_sec(&waiting.requirements));
            positions.attained_us.insert((waiting.user, waiting.priority), after_us);
        }
        positions
    }

    /// Returns the position of an experiment, counted from 1; `None` when it is not in the queue.
    pub fn position(&self, id: ExperimentId) -> Option<u64> {
        let index = self.ordered.iter().position(|entry| entry.id == id)?;
        Some(index as u64 + 1)
    }

    /// Returns the positions of all queued experiments.
    pub fn all(&self) -> HashMap<ExperimentId, u64> {
        self.ordered.iter().map(|entry| entry.id).zip(1..).collect()
    }

    /// Returns the first queued experiments in order, at most `limit`, and the number of all.
    pub fn first(&self, limit: usize) -> (Vec<ExperimentId>, usize) {
        let first = self.ordered.iter().take(limit).map(|entry| entry.id);
        (first.collect(), self.ordered.len())
    }

    /// Inserts an experiment and returns its position; returns the position of one that is already there.
    pub fn insert(&mut self, newcomer: Newcomer<'_>) -> u64 {
        let Newcomer { id, user, priority, .. } = newcomer;
        // Thousands may be submitted in a second, so the list is searched only for an experiment that is in it.
        if !self.known.insert(id)
            && let Some(position) = self.position(id)
        {
            return position;
        }
        let attained_us = self.attained_us_at(user, priority);
        let is_before = |entry: &Entry| {
            let same = entry.priority == priority;
            entry.priority > priority || (same && (entry.attained_us, entry.id) < (attained_us, id))
        };
        let index = self.ordered.partition_point(is_before);
        self.ordered.insert(
            index,
            Entry {
                id,
                priority,
                attained_us,
            },
        );
        let after_us = attained_us + to_us(charged_sec(newcomer.requirements));
        self.attained_us.insert((user.to_owned(), priority), after_us);
        index as u64 + 1
    }

    /// Removes an experiment that no longer waits.
    pub fn remove(&mut self, id: ExperimentId) {
        if self.known.remove(&id) {
            self.ordered.retain(|entry| entry.id != id);
        }
    }

    /// Returns the device-time in microseconds that a user will have attained at the turn of one more experiment of
    /// this priority, which comes after the user's queued ones of the same or a higher priority.
    fn attained_us_at(&self, user: &str, priority: i32) -> u64 {
        let of_user = self.attained_us.iter().filter(|((name, _), _)| name == user);
        let before = of_user
            .filter(|((_, other), _)| *other >= priority)
            .map(|(_, us)| *us)
            .max();
        before.unwrap_or_else(|| to_us(self.device_sec.get(user).copied().unwrap_or(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use joulemark_experiment::{Device, Isolation};
    use joulemark_store::Waiting;
    use proptest::prelude::*;

    use super::super::order::turns;
    use super::*;

    fn waiting(user: u8, priority: i32, gpu_count: u32) -> Waiting {
        Waiting {
            id: ExperimentId::generate(),
            user: format!("user {user}"),
            priority,
            requirements: Arc::new(Requirements {
                engine: "mistral".to_owned(),
                model_name: "m".to_owned(),
                device: Device::Cuda,
                num_processes: 1,
                gpus: Vec::new(),
                gpu_count,
                isolation: Isolation::Devices,
                node: None,
                node_labels: BTreeMap::new(),
                prompt_source: None,
                sets_power: false,
            }),
        }
    }

    fn newcomer(waiting: &Waiting) -> Newcomer<'_> {
        Newcomer {
            id: waiting.id,
            user: &waiting.user,
            priority: waiting.priority,
            requirements: &waiting.requirements,
        }
    }

    proptest! {
        #[test]
        fn a_newcomer_is_inserted_where_a_new_ordering_would_put_it(
            known in prop::collection::vec((0_u8..4, -1_i32..2, 1_u32..4), 0..30),
            later in prop::collection::vec((0_u8..4, 1_u32..4), 0..10),
            had in prop::collection::vec(0_u32..300, 4),
        ) {
            let count = known.len();
            let later = later.into_iter().map(|(user, gpus)| (user, -1, gpus));
            let queue: Vec<_> =
                known.into_iter().chain(later).map(|(user, priority, gpus)| waiting(user, priority, gpus)).collect();
            let device_sec: HashMap<_, _> =
                had.iter().enumerate().map(|(user, sec)| (format!("user {user}"), f64::from(*sec))).collect();
            let (known, later) = queue.split_at(count);
            let mut positions = Positions::new(turns(known, &device_sec), device_sec.clone());
            for (number, one) in later.iter().enumerate() {
                let position = positions.insert(newcomer(one));
                let all = &queue[..=count + number];
                let expected = turns(all, &device_sec).iter().position(|turn| turn.waiting.id == one.id);
                prop_assert_eq!(position, expected.unwrap() as u64 + 1);
                prop_assert_eq!(positions.insert(newcomer(one)), position, "it is there already");
            }
            let expected = turns(&queue, &device_sec).into_iter().map(|turn| turn.waiting.id).zip(1..);
            prop_assert_eq!(positions.all(), expected.collect::<HashMap<_, _>>());
        }
    }

    #[test]
    fn a_removed_experiment_moves_the_later_ones_forward() {
        let queue = [waiting(0, 0, 1), waiting(0, 0, 1)];
        let mut positions = Positions::new(turns(&queue, &HashMap::new()), HashMap::new());
        assert_eq!(positions.position(queue[1].id), Some(2));
        positions.remove(queue[0].id);
        assert_eq!(
            (positions.position(queue[0].id), positions.position(queue[1].id)),
            (None, Some(1))
        );
    }
}
