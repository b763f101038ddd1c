use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::channel::{Channel, Heard, Snapshot};
use joulemark_experiment::{ExperimentId, Transition};

/// A listener that is further behind reads the database.
const KEPT_OF_ALL: usize = 4096;
const KEPT_OF_ONE: usize = 64;

/// Who wants to hear of which experiment, and the way to tell them. Told by one task of the server.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: watch::Sender<Channel>,
    /// Those of single experiments that somebody listens to: what happens elsewhere wakes nobody here.
    single: Mutex<Single>,
}

#[derive(Debug)]
struct Single {
    newest: i64,
    channels: HashMap<ExperimentId, watch::Sender<Channel>>,
}

impl Feed {
    /// `newest` is the number of the newest change there is.
    pub fn new(newest: i64) -> Self {
        Self(Arc::new(Shared {
            all: watch::Sender::new(Channel::new(KEPT_OF_ALL, newest)),
            single: Mutex::new(Single {
                newest,
                channels: HashMap::new(),
            }),
        }))
    }

    fn single(&self) -> MutexGuard<'_, Single> {
        self.0.single.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest change that was told.
    pub fn newest(&self) -> i64 {
        self.single().newest
    }

    /// Tells of the changes that follow upon the newest one, in order.
    pub fn tell(&self, transitions: Vec<Transition>) {
        let transitions: Vec<_> = transitions.into_iter().map(Arc::new).collect();
        let Some(newest) = transitions.last().map(|last| last.seq) else {
            return;
        };
        self.0
            .all
            .send_modify(|channel| transitions.iter().for_each(|transition| channel.tell_move(transition)));
        let mut single = self.single();
        single.newest = newest;
        for transition in &transitions {
            if let Some(channel) = single.channels.get(&transition.id) {
                channel.send_modify(|channel| channel.tell_move(transition));
            }
        }
    }

    /// Whether anybody would hear of this experiment's progress.
    pub fn wants(&self, id: ExperimentId) -> bool {
        self.0.all.receiver_count() > 0 || self.single().channels.contains_key(&id)
    }

    /// Whether anybody listens at all.
    pub fn is_heard(&self) -> bool {
        self.0.all.receiver_count() > 0 || !self.single().channels.is_empty()
    }

    /// How far the experiments of this server are; of others that were told before there is nothing to say any more.
    pub fn tell_progress(&self, snapshots: Vec<Snapshot>) {
        if snapshots.is_empty() {
            return;
        }
        let snapshots: Vec<_> = snapshots.into_iter().map(Arc::new).collect();
        self.0
            .all
            .send_modify(|channel| snapshots.iter().for_each(|snapshot| channel.tell_progress(snapshot)));
        let single = self.single();
        for snapshot in &snapshots {
            if let Some(channel) = single.channels.get(&snapshot.id) {
                channel.send_modify(|channel| channel.tell_progress(snapshot));
            }
        }
    }

    /// To one experiment. What was before must be read from the database, after this.
    pub fn listen_to(&self, id: ExperimentId) -> Listener {
        let mut single = self.single();
        let newest = single.newest;
        let channel = single.channels.entry(id);
        let channel = channel.or_insert_with(|| watch::Sender::new(Channel::new(KEPT_OF_ONE, newest)));
        let receiver = channel.subscribe();
        let (missing_up_to, told) = (receiver.borrow().missing_up_to(), receiver.borrow().told());
        Listener {
            receiver: Some(receiver),
            begins_at: newest.max(missing_up_to),
            told,
            single: Some((self.clone(), id)),
        }
    }

    /// To all experiments, likewise.
    pub fn listen_to_all(&self) -> Listener {
        // In the order of `tell`, so that what lies between is told and not lost.
        let receiver = self.0.all.subscribe();
        let told = receiver.borrow().told();
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

/// Hears of one experiment or of all, until it is dropped.
#[derive(Debug)]
pub struct Listener {
    /// None only while it is dropped.
    receiver: Option<watch::Receiver<Channel>>,
    begins_at: i64,
    told: u64,
    single: Option<(Feed, ExperimentId)>,
}

impl Listener {
    /// Changes up to this number are past; later ones will be heard.
    pub fn begins_at(&self) -> i64 {
        self.begins_at
    }

    /// Returns at once where something is new since the last [`Self::hear`].
    pub async fn changed(&mut self) {
        let changed = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            // The feed is gone: nothing will ever change.
            std::future::pending::<()>().await;
        }
    }

    /// What came after the change numbered `seen`, and the progress since the last time; none when changes in between
    /// must be read from the database.
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
    async fn a_listener_hears_of_its_own_experiment_alone() {
        let (feed, one, other) = (Feed::new(4), ExperimentId::generate(), ExperimentId::generate());
        let (mut own, mut all) = (feed.listen_to(one), feed.listen_to_all());
        assert_eq!((own.begins_at(), all.begins_at()), (4, 4));
        feed.tell(vec![
            transition(5, other, State::Queued),
            transition(7, other, State::Starting),
        ]);
        all.changed().await;
        assert_eq!(all.hear(4).unwrap().moves.len(), 2);
        assert_eq!(own.hear(4).unwrap().moves, []);
        feed.tell(vec![transition(8, one, State::Queued)]);
        own.changed().await;
        assert_eq!(own.hear(4).unwrap().moves[0].seq, 8);
        assert_eq!(feed.newest(), 8);
    }

    #[test]
    fn nothing_is_left_of_listeners_that_have_gone() {
        let (feed, id) = (Feed::new(0), ExperimentId::generate());
        let (one, two) = (feed.listen_to(id), feed.listen_to(id));
        drop(one);
        assert!(feed.wants(id) && feed.is_heard());
        drop(two);
        assert!(!feed.wants(id) && !feed.is_heard());
        assert!(feed.single().channels.is_empty());
    }

    #[test]
    fn who_comes_later_begins_later() {
        let (feed, id) = (Feed::new(0), ExperimentId::generate());
        let _first = feed.listen_to(id);
        feed.tell((1..=100).map(|seq| transition(seq, id, State::Queued)).collect());
        let mut late = feed.listen_to(id);
        assert_eq!(late.begins_at(), 100);
        assert_eq!(late.hear(100).unwrap().moves, []);
        assert_eq!(late.hear(20), None, "it was too long ago");
    }
}
