use std::collections::{HashMap, HashSet};

use super::order::{Turn, charged_sec, to_us};
use joulemark_experiment::{ExperimentId, Requirements};

/// Where each experiment stands in the queue, as of one look at it. One that came since is put where the same order would
/// have it, without ordering all anew: those of its user with a lower priority stay where they are until the next look.
#[derive(Debug, Default)]
pub struct Places {
    /// In the order of their turns.
    ordered: Vec<Place>,
    known: HashSet<ExperimentId>,
    /// What each user will have attained once all of theirs of a priority had their turns, microseconds.
    attained_us: HashMap<(String, i32), u64>,
    /// What each user had attained before any turn.
    device_sec: HashMap<String, f64>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    id: ExperimentId,
    priority: i32,
    attained_us: u64,
}

/// An experiment that came after the look.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    pub id: ExperimentId,
    pub user: &'a str,
    pub priority: i32,
    pub requirements: &'a Requirements,
}

impl Places {
    pub fn new(turns: Vec<Turn>, device_sec: HashMap<String, f64>) -> Self {
        let mut places = Self {
            ordered: Vec::with_capacity(turns.len()),
            known: turns.iter().map(|turn| turn.waiting.id).collect(),
            attained_us: HashMap::new(),
            device_sec,
        };
        for Turn { waiting, attained_us } in turns {
            places.ordered.push(Place {
                id: waiting.id,
                priority: waiting.priority,
                attained_us,
            });
            let after_us = attained_us + to_us(charged_sec(&waiting.requirements));
            places.attained_us.insert((waiting.user, waiting.priority), after_us);
        }
        places
    }

    /// Returns the position of an experiment, from 1.
    pub fn position(&self, id: ExperimentId) -> Option<u64> {
        let index = self.ordered.iter().position(|place| place.id == id)?;
        Some(index as u64 + 1)
    }

    /// Returns every position, for who asks for many.
    pub fn positions(&self) -> HashMap<ExperimentId, u64> {
        self.ordered.iter().map(|place| place.id).zip(1..).collect()
    }

    /// Returns the first that wait, in order, and how many wait in all.
    pub fn first(&self, limit: usize) -> (Vec<ExperimentId>, usize) {
        let first = self.ordered.iter().take(limit).map(|place| place.id);
        (first.collect(), self.ordered.len())
    }

    /// Puts an experiment in its place; returns its position.
    pub fn enter(&mut self, newcomer: Newcomer<'_>) -> u64 {
        let Newcomer { id, user, priority, .. } = newcomer;
        // Thousands may come in a second: only of one that is there its place is searched for.
        if !self.known.insert(id)
            && let Some(position) = self.position(id)
        {
            return position;
        }
        let attained_us = self.attained_us_at(user, priority);
        let is_before = |place: &Place| {
            let same = place.priority == priority;
            place.priority > priority || (same && (place.attained_us, place.id) < (attained_us, id))
        };
        let index = self.ordered.partition_point(is_before);
        self.ordered.insert(
            index,
            Place {
                id,
                priority,
                attained_us,
            },
        );
        let after_us = attained_us + to_us(charged_sec(newcomer.requirements));
        self.attained_us.insert((user.to_owned(), priority), after_us);
        index as u64 + 1
    }

    /// Takes out what waits no longer.
    pub fn remove(&mut self, id: ExperimentId) {
        if self.known.remove(&id) {
            self.ordered.retain(|place| place.id != id);
        }
    }

    /// Returns what a user will have attained when one more of this priority has its turn: theirs of higher priorities, and those
    /// of the same that are there, come before it.
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
        fn who_comes_later_stands_where_ordering_all_would_put_them(
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
            let mut places = Places::new(turns(known, &device_sec), device_sec.clone());
            for (number, one) in later.iter().enumerate() {
                let position = places.enter(newcomer(one));
                let all = &queue[..=count + number];
                let expected = turns(all, &device_sec).iter().position(|turn| turn.waiting.id == one.id);
                prop_assert_eq!(position, expected.unwrap() as u64 + 1);
                prop_assert_eq!(places.enter(newcomer(one)), position, "it is there already");
            }
            let expected = turns(&queue, &device_sec).into_iter().map(|turn| turn.waiting.id).zip(1..);
            prop_assert_eq!(places.positions(), expected.collect::<HashMap<_, _>>());
        }
    }

    #[test]
    fn what_waits_no_longer_makes_room() {
        let queue = [waiting(0, 0, 1), waiting(0, 0, 1)];
        let mut places = Places::new(turns(&queue, &HashMap::new()), HashMap::new());
        assert_eq!(places.position(queue[1].id), Some(2));
        places.remove(queue[0].id);
        assert_eq!(
            (places.position(queue[0].id), places.position(queue[1].id)),
            (None, Some(1))
        );
    }
}
