//! Event feed: publishes changes of state and progress to listeners. Leaves earlier events to the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::channel::{Channel, Heard, Snapshot};
use joulemark_experiment::{ExperimentId, Transition};

/// Number of changes that are buffered for listeners to all experiments. A listener that is further behind reads the
/// database.
const CAPACITY_OF_ALL: usize = 4096;
const CAPACITY_OF_ONE: usize = 64;

/// Event feed of the server: publishes changes of state and progress to listeners. One task of the server publishes.
/// Clones share the feed.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: watch::Sender<Channel>,
    /// Channels of single experiments with listeners, so that events of other experiments do not wake these.
    single: Mutex<Single>,
}

#[derive(Debug)]
struct Single {
    newest: i64,
    channels: HashMap<ExperimentId, watch::Sender<Channel>>,
}

impl Feed {
    /// Creates a feed; `newest` is the number of the latest change in the database.
    pub fn new(newest: i64) -> Self {
        Self(Arc::new(Shared {
            all: watch::Sender::new(Channel::new(CAPACITY_OF_ALL, newest)),
            single: Mutex::new(Single {
                newest,
                channels: HashMap::new(),
            }),
        }))
    }

    fn single(&self) -> MutexGuard<'_, Single> {
        self.0.single.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the latest published change.
    pub fn newest(&self) -> i64 {
        self.single().newest
    }

    /// Publishes the changes that follow the latest one, in order.
    pub fn publish(&self, transitions: Vec<Transition>) {
        let transitions: Vec<_> = transitions.into_iter().map(Arc::new).collect();
        let Some(newest) = transitions.last().map(|last| last.seq) else {
            return;
        };
        self.0.all.send_modify(|channel| {
            for transition in &transitions {
                channel.push_transition(transition);
            }
        });
        let mut single = self.single();
        single.newest = newest;
        for transition in &transitions {
            if let Some(channel) = single.channels.get(&transition.id) {
                channel.send_modify(|channel| channel.push_transition(transition));
            }
        }
    }

    /// Returns whether anyone listens to this experiment.
    pub fn has_listeners_to(&self, id: ExperimentId) -> bool {
        self.0.all.receiver_count() > 0 || self.single().channels.contains_key(&id)
    }

    /// Returns whether anyone listens.
    pub fn has_listeners(&self) -> bool {
        self.0.all.receiver_count() > 0 || !self.single().channels.is_empty()
    }

    /// Publishes the progress of experiments of this server.
    pub fn publish_progress(&self, snapshots: Vec<Snapshot>) {
        if snapshots.is_empty() {
            return;
        }
        let snapshots: Vec<_> = snapshots.into_iter().map(Arc::new).collect();
        self.0
            .all
            .send_modify(|channel| snapshots.iter().for_each(|snapshot| channel.push_progress(snapshot)));
        let single = self.single();
        for snapshot in &snapshots {
            if let Some(channel) = single.channels.get(&snapshot.id) {
                channel.send_modify(|channel| channel.push_progress(snapshot));
            }
        }
    }

    /// Starts listening to one experiment. The caller must read earlier changes from the database after this call.
    pub fn listen_to(&self, id: ExperimentId) -> Listener {
        let mut single = self.single();
        let newest = single.newest;
        let channel = single.channels.entry(id);
        let channel = channel.or_insert_with(|| watch::Sender::new(Channel::new(CAPACITY_OF_ONE, newest)));
        let receiver = channel.subscribe();
        let (missing_up_to, told) = (receiver.borrow().missing_up_to(), receiver.borrow().progress_number());
        Listener {
            receiver: Some(receiver),
            begins_at: newest.max(missing_up_to),
            told,
            single: Some((self.clone(), id)),
        }
    }

    /// Starts listening to all experiments. The caller must read earlier changes from the database after this call.
    pub fn listen_to_all(&self) -> Listener {
        // In the order of `publish`, so that a change in between is delivered and not lost.
        let receiver = self.0.all.subscribe();
        let told = receiver.borrow().progress_number();
        Listener {
            receiver: Some(receiver),
            begins_at: self.newest(),
            told,
            single: None,
        }
    }

    fn leave(&self, id: ExperimentId) {
        let mut single = self.single();
        if single
            .channels
            .get(&id)
            .is_some_and(|channel| channel.receiver_count() == 0)
        {
            single.channels.remove(&id);
        }
    }
}

/// Subscription to the events of one or all experiments, which ends when it is dropped.
#[derive(Debug)]
pub struct Listener {
    /// `None` only while it is dropped.
    receiver: Option<watch::Receiver<Channel>>,
    begins_at: i64,
    told: u64,
    single: Option<(Feed, ExperimentId)>,
}

impl Listener {
    /// Returns the number of the last change before the subscription. Later changes will be delivered.
    pub fn begins_at(&self) -> i64 {
        self.begins_at
    }

    /// Waits until there is something new since the last [`Self::hear`].
    pub async fn changed(&mut self) {
        let changed = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            // The feed no longer exists, so nothing will change.
            std::future::pending::<()>().await;
        }
    }

    /// Returns the changes after the one numbered `seen` and the progress since the last call; `None` when changes in
    /// between must be read from the database.
    pub fn hear(&mut self, seen: i64) -> Option<Heard> {
        let heard = self.receiver.as_mut()?.borrow_and_update().since(seen, self.told)?;
        self.told = heard.told;
        Some(heard)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.receiver = None;
        if let Some((feed, id)) = self.single.take() {
            feed.leave(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use joulemark_experiment::State;

    fn transition(seq: i64, id: ExperimentId, state: State) -> Transition {
        Transition {
            seq,
            id,
            state,
            attempt: 1,
            at: Timestamp::UNIX_EPOCH,
            user: None,
            labels: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn a_listener_to_one_experiment_gets_only_its_events() {
        let (feed, one, other) = (Feed::new(4), ExperimentId::generate(), ExperimentId::generate());
        let (mut own, mut all) = (feed.listen_to(one), feed.listen_to_all());
        assert_eq!((own.begins_at(), all.begins_at()), (4, 4));
        feed.publish(vec![
            transition(5, other, State::Queued),
            transition(7, other, State::Starting),
        ]);
        all.changed().await;
        assert_eq!(all.hear(4).unwrap().moves.len(), 2);
        assert_eq!(own.hear(4).unwrap().moves, []);
        feed.publish(vec![transition(8, one, State::Queued)]);
        own.changed().await;
        assert_eq!(own.hear(4).unwrap().moves[0].seq, 8);
        assert_eq!(feed.newest(), 8);
    }

    #[test]
    fn dropped_listeners_leave_nothing_behind() {
        let (feed, id) = (Feed::new(0), ExperimentId::generate());
        let (one, two) = (feed.listen_to(id), feed.listen_to(id));
        drop(one);
        assert!(feed.has_listeners_to(id) && feed.has_listeners());
        drop(two);
        assert!(!feed.has_listeners_to(id) && !feed.has_listeners());
        assert!(feed.single().channels.is_empty());
    }

    #[test]
    fn a_later_listener_begins_later() {
        let (feed, id) = (Feed::new(0), ExperimentId::generate());
        let _first = feed.listen_to(id);
        feed.publish((1..=100).map(|seq| transition(seq, id, State::Queued)).collect());
        let mut late = feed.listen_to(id);
        assert_eq!(late.begins_at(), 100);
        assert_eq!(late.hear(100).unwrap().moves, []);
        assert_eq!(late.hear(20), None, "the changes have been dropped");
    }
}
