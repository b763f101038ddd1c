//! Fair concurrency limits: a number of permits of which each caller can hold only a share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Number of known callers above which those without permits are removed.
const PRUNE_AT: usize = 1024;

/// A number of permits of which each caller can hold only a share. Clones share the permits.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    count: u32,
    share: u32,
    callers: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// Permits held by one caller; returned when dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    own: OwnedSemaphorePermit,
    /// `None` while the caller holds only permits of its own share, which do not count against the total.
    of_all: Option<OwnedSemaphorePermit>,
}

/// The reason why no permit is available, with the limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoneLeft {
    #[error("the caller holds all {0} permits of its share")]
    OfCaller(u32),
    #[error("all {0} permits are in use")]
    OfAll(u32),
}

impl Shares {
    /// Creates `count` permits of which each caller can hold `percent` per cent, rounded up.
    pub fn new(count: u32, percent: u32) -> Self {
        let share = (u64::from(count) * u64::from(percent.min(100))).div_ceil(100);
        Self::with_share(count, u32::try_from(share).unwrap_or(count))
    }

    /// Creates `count` permits of which each caller can hold `share`, at least 1.
    pub fn with_share(count: u32, share: u32) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(count as usize)),
            count,
            share: share.clamp(1, count.max(1)),
            callers: Mutex::default(),
        }))
    }

    /// Returns the number of permits in use.
    pub fn taken(&self) -> u32 {
        let free = u32::try_from(self.0.all.available_permits()).unwrap_or(u32::MAX);
        self.0.count.saturating_sub(free)
    }

    /// Takes one permit without waiting.
    ///
    /// # Errors
    /// Returns [`NoneLeft`] when no permit is available to this caller.
    pub fn try_take(&self, caller: &str) -> Result<Share, NoneLeft> {
        let mut share = self.try_hold(caller, 1)?;
        share.enter()?;
        Ok(share)
    }

    /// Takes `weight` permits of the caller's share, or the whole share when that is smaller, but none of the total.
    /// [`Share::enter`] takes those.
    ///
    /// # Errors
    /// Returns [`NoneLeft`] when the caller already holds too many.
    pub fn try_hold(&self, caller: &str, weight: u32) -> Result<Share, NoneLeft> {
        let share = self.0.share;
        let own = self.of(caller).try_acquire_many_owned(weight.clamp(1, share));
        Ok(Share {
            of: self.clone(),
            own: own.map_err(|_| self.none_left())?,
            of_all: None,
        })
    }

    /// Takes one permit, waiting first for the caller's own earlier requests, then for those of other callers.
    pub async fn take(&self, caller: &str) -> Share {
        // Neither semaphore is ever closed.
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

    /// Returns the reason for which the caller's share is used up; when the share is the total, that limit is named.
    fn none_left(&self) -> NoneLeft {
        match self.0.share == self.0.count {
            true => NoneLeft::OfAll(self.0.count),
            false => NoneLeft::OfCaller(self.0.share),
        }
    }

    /// Returns the semaphore of a caller's share.
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
    /// Takes as many permits of the total as the caller holds of its share. Does nothing when they are already taken.
    ///
    /// # Errors
    /// Returns [`NoneLeft::OfAll`] when too few are left.
    pub fn enter(&mut self) -> Result<(), NoneLeft> {
        if self.of_all.is_some() {
            return Ok(());
        }
        let weight = u32::try_from(self.own.num_permits()).unwrap_or(u32::MAX);
        let of_all = self.of.0.all.clone().try_acquire_many_owned(weight);
        self.of_all = Some(of_all.map_err(|_| NoneLeft::OfAll(self.of.0.count))?);
        Ok(())
    }

    /// Returns the permits of the total, and keeps those of the caller's share.
    pub fn leave(&mut self) {
        self.of_all = None;
    }

    /// Changes the number of permits held of the caller's share to `weight`, or to the whole share when that is
    /// smaller.
    ///
    /// # Errors
    /// Returns [`NoneLeft`] when the caller's other permits leave too few.
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
    fn a_caller_can_take_only_its_share() {
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
    fn every_caller_can_take_one_permit_and_at_100_percent_all() {
        assert!(Shares::new(1, 25).try_take("ada").is_ok());
        let all = Shares::new(4, 100);
        let held: Vec<_> = (0..4).map(|_| all.try_take("ada").unwrap()).collect();
        assert!(all.try_take("ada").is_err() && held.len() == 4);
    }

    #[test]
    fn held_permits_count_towards_the_total_once_entered() {
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
    fn entering_again_takes_no_further_permits() {
        let shares = Shares::new(4, 100);
        let mut whole = shares.try_hold("ada", 4).unwrap();
        whole.enter().unwrap();
        whole.enter().unwrap();
        assert_eq!(shares.taken(), 4);
    }

    #[tokio::test]
    async fn waiting_for_one_s_own_share_does_not_block_other_callers() {
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
    fn callers_without_permits_are_removed() {
        let shares = Shares::new(1, 100);
        for number in 0..3 * PRUNE_AT {
            shares.try_take(&number.to_string()).unwrap();
        }
        assert!(shares.0.callers.lock().unwrap().len() <= PRUNE_AT);
    }
}
