//! Shares: how much of something that runs out one caller may hold, so that none keeps all others from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Beyond so many callers those that hold nothing are forgotten.
const PRUNE_AT: usize = 1024;

/// A number of permits, of which each caller holds no more than a share. Clones hand out the same permits.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    count: u32,
    share: u32,
    callers: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// Permits of one caller; given back when dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    own: OwnedSemaphorePermit,
    of_all: Option<OwnedSemaphorePermit>,
}

/// Why there is no permit: how many there are, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoneLeft {
    #[error("the caller holds all {0} of its share")]
    OfCaller(u32),
    #[error("all {0} are held")]
    OfAll(u32),
}

impl Shares {
    /// Makes `count` permits, of which each caller may hold `percent` in a hundred, rounded up.
    pub fn new(count: u32, percent: u32) -> Self {
        let share = (u64::from(count) * u64::from(percent.min(100))).div_ceil(100);
        Self::with_share(count, u32::try_from(share).unwrap_or(count))
    }

    /// Makes `count` permits, of which each caller may hold `share`.
    pub fn with_share(count: u32, share: u32) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(count as usize)),
            count,
            share: share.clamp(1, count.max(1)),
            callers: Mutex::default(),
        }))
    }

    /// Returns how many are held.
    pub fn taken(&self) -> u32 {
        let free = u32::try_from(self.0.all.available_permits()).unwrap_or(u32::MAX);
        self.0.count.saturating_sub(free)
    }

    /// Takes one at once.
    ///
    /// # Errors
    /// [`NoneLeft`] when there is none for this caller.
    pub fn try_take(&self, caller: &str) -> Result<Share, NoneLeft> {
        let mut share = self.try_hold(caller, 1)?;
        share.enter()?;
        Ok(share)
    }

    /// Takes `weight` of the caller's own share, or all of it where that is less, and none of what all have together.
    ///
    /// # Errors
    /// [`NoneLeft::OfCaller`] when the caller holds too many.
    pub fn try_hold(&self, caller: &str, weight: u32) -> Result<Share, NoneLeft> {
        let share = self.0.share;
        let own = self.of(caller).try_acquire_many_owned(weight.clamp(1, share));
        Ok(Share {
            of: self.clone(),
            own: own.map_err(|_| self.none_left())?,
            of_all: None,
        })
    }

    /// Takes one when it is the caller's turn: behind those that the caller took before, then behind all others.
    pub async fn take(&self, caller: &str) -> Share {
        // Neither is ever closed.
        loop {
            let Ok(own) = self.of(caller).acquire_owned().await else {
                continue;
            };
            let Ok(of_all) = self.0.all.clone().acquire_owned().await else {
                continue;
            };
            return Share {
                of: self.clone(),
                own,
                of_all: Some(of_all),
            };
        }
    }

    /// Says why a caller gets no more: it has all that there is, where its share is all.
    fn none_left(&self) -> NoneLeft {
        match self.0.share == self.0.count {
            true => NoneLeft::OfAll(self.0.count),
            false => NoneLeft::OfCaller(self.0.share),
        }
    }

    fn of(&self, caller: &str) -> Arc<Semaphore> {
        let mut callers = self.0.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(caller).and_then(Weak::upgrade) {
            return known;
        }
        if callers.len() >= PRUNE_AT {
            callers.retain(|_, known| known.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.0.share as usize));
        callers.insert(caller.into(), Arc::downgrade(&new));
        new
    }
}

impl Share {
    /// Takes as many of what all have together; nothing more where it has them already.
    ///
    /// # Errors
    /// [`NoneLeft::OfAll`] when others hold too many.
    pub fn enter(&mut self) -> Result<(), NoneLeft> {
        if self.of_all.is_some() {
            return Ok(());
        }
        let weight = u32::try_from(self.own.num_permits()).unwrap_or(u32::MAX);
        let of_all = self.of.0.all.clone().try_acquire_many_owned(weight);
        self.of_all = Some(of_all.map_err(|_| NoneLeft::OfAll(self.of.0.count))?);
        Ok(())
    }

    /// Gives back what all have together, and keeps what is of the caller's share.
    pub fn leave(&mut self) {
        self.of_all = None;
    }

    /// Holds `weight` of the caller's share, or all of it where that is less, in place of what it holds.
    ///
    /// # Errors
    /// [`NoneLeft`] when the caller holds too many beside it.
    pub fn resize(&mut self, weight: u32) -> Result<(), NoneLeft> {
        let weight = weight.clamp(1, self.of.0.share) as usize;
        let now = self.own.num_permits();
        if weight <= now {
            drop(self.own.split(now - weight));
            return Ok(());
        }
        let more = u32::try_from(weight - now).unwrap_or(u32::MAX);
        let more = self.own.semaphore().clone().try_acquire_many_owned(more);
        self.own.merge(more.map_err(|_| self.of.none_left())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_takes_a_share_and_leaves_the_rest_to_others() {
        let shares = Shares::new(10, 25);
        let of_ada: Vec<_> = (0..3).map(|_| shares.try_take("ada").unwrap()).collect();
        assert_eq!(shares.try_take("ada").unwrap_err(), NoneLeft::OfCaller(3));
        let of_others: Vec<_> = (0..7).map(|n| shares.try_take(&n.to_string()).unwrap()).collect();
        assert_eq!(shares.try_take("bob").unwrap_err(), NoneLeft::OfAll(10));
        assert_eq!(shares.taken(), 10);
        drop(of_ada);
        assert_eq!(shares.taken(), 7);
        assert!(shares.try_take("ada").is_ok() && shares.try_take("bob").is_ok());
        drop(of_others);
    }

    #[test]
    fn everybody_may_have_one_and_at_a_hundred_percent_all() {
        assert!(Shares::new(1, 25).try_take("ada").is_ok());
        let all = Shares::new(4, 100);
        let held: Vec<_> = (0..4).map(|_| all.try_take("ada").unwrap()).collect();
        assert!(all.try_take("ada").is_err() && held.len() == 4);
    }

    #[test]
    fn what_is_held_for_a_caller_counts_for_all_only_once_it_enters() {
        let shares = Shares::new(8, 50);
        let mut heavy = shares.try_hold("ada", 100).unwrap();
        assert_eq!((shares.taken(), shares.try_hold("ada", 1).is_err()), (0, true));
        heavy.enter().unwrap();
        assert_eq!(shares.taken(), 4);
        heavy.leave();
        heavy.resize(1).unwrap();
        assert_eq!(shares.taken(), 0);
        let other = shares.try_hold("ada", 3).unwrap();
        assert_eq!(heavy.resize(2), Err(NoneLeft::OfCaller(4)));
        drop(other);
        heavy.resize(100).unwrap();
        assert!(shares.try_take("ada").is_err());
    }

    #[test]
    fn who_has_entered_may_enter_again_also_where_all_is_taken() {
        let shares = Shares::new(4, 100);
        let mut whole = shares.try_hold("ada", 4).unwrap();
        whole.enter().unwrap();
        whole.enter().unwrap();
        assert_eq!(shares.taken(), 4);
    }

    #[tokio::test]
    async fn who_waits_for_their_own_turn_is_in_nobody_s_way() {
        let shares = Shares::new(2, 50);
        let first = shares.take("ada").await;
        let waiting = tokio::spawn({
            let shares = shares.clone();
            async move { drop(shares.take("ada").await) }
        });
        drop(shares.take("bob").await);
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }

    #[test]
    fn callers_that_hold_nothing_are_forgotten() {
        let shares = Shares::new(1, 100);
        for number in 0..3 * PRUNE_AT {
            shares.try_take(&number.to_string()).unwrap();
        }
        assert!(shares.0.callers.lock().unwrap().len() <= PRUNE_AT);
    }
}
