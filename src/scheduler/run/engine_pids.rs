//! Tracks which processes the energy of a run is attributed to.

use joulemark_measurement::Window;
use joulemark_measurement::clock::Monotonic;

/// Processes that an experiment's energy is attributed to, by rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnginePids {
    /// Processes that the meter tracks; each includes its descendants.
    followed: Vec<Vec<u32>>,
    /// All processes that may compute on a rank's GPUs.
    computing: Vec<Vec<u32>>,
}

impl EnginePids {
    /// Returns the processes of workers that compute, one per rank.
    pub fn of_workers(pids: &[u32]) -> Self {
        let each: Vec<_> = pids.iter().map(|pid| vec![*pid]).collect();
        Self {
            followed: each.clone(),
            computing: each,
        }
    }

    /// Returns the processes of a server, which belong to one rank; empty when they are unknown.
    pub fn of_server(followed: Vec<u32>) -> Self {
        Self {
            followed: vec![followed],
            computing: Vec::new(),
        }
    }

    /// Returns the same with all processes that may compute on the GPUs of a server.
    pub fn with_computing(self, computing: Vec<u32>) -> Self {
        Self {
            computing: vec![computing],
            ..self
        }
    }

    /// Returns the tracked processes of a rank.
    pub fn of_rank(&self, rank: u32) -> &[u32] {
        self.followed.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// Returns the processes that may compute on a rank's GPUs.
    pub fn computing_of_rank(&self, rank: u32) -> &[u32] {
        self.computing.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// Returns the tracked processes of all ranks; empty when those of one rank are unknown.
    pub fn all(&self) -> Vec<u32> {
        match self.followed.iter().any(Vec::is_empty) {
            true => Vec::new(),
            false => self.followed.concat(),
        }
    }
}

/// Consecutive sets of processes of a run, each with the time of its start.
#[derive(Clone, Debug, Default)]
pub struct PidsOverTime(Vec<(Monotonic, EnginePids)>);

impl PidsOverTime {
    /// Adds a set that starts after all others.
    pub fn push(&mut self, since: Monotonic, pids: EnginePids) {
        self.0.push((since, pids));
    }

    /// Replaces the processes that may compute on the GPUs in the last set, which is a server's.
    pub fn note_computing(&mut self, computing: Vec<u32>) {
        if let Some((_, last)) = self.0.last_mut() {
            *last = std::mem::take(last).with_computing(computing);
        }
    }

    /// Returns the set that was running at the start of a window.
    pub fn at(&self, window: &Window) -> EnginePids {
        let before = |(since, _): &&(Monotonic, EnginePids)| since.as_sec() <= window.start_monotonic_sec;
        let own = self.0.iter().rev().find(before);
        own.map(|(_, pids)| pids.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_belongs_to_the_last_processes_that_started_before_it() {
        let mut pids = PidsOverTime::default();
        pids.push(Monotonic::from_sec(1.0), EnginePids::of_workers(&[10, 11]));
        pids.push(Monotonic::from_sec(5.0), EnginePids::of_workers(&[20, 21]));
        let at = |start_monotonic_sec: f64| {
            let window = Window {
                start_monotonic_sec,
                end_monotonic_sec: 9.0,
            };
            pids.at(&window).all()
        };
        assert_eq!((at(2.0), at(5.0)), (vec![10, 11], vec![20, 21]));
    }

    #[test]
    fn processes_that_compute_are_set_for_the_last_set_only() {
        let mut pids = PidsOverTime::default();
        pids.push(Monotonic::from_sec(1.0), EnginePids::of_server(vec![10]));
        pids.note_computing(vec![10, 11]);
        pids.push(Monotonic::from_sec(5.0), EnginePids::of_server(vec![20]));
        let at = |start_monotonic_sec: f64| {
            let window = Window {
                start_monotonic_sec,
                end_monotonic_sec: 9.0,
            };
            pids.at(&window)
        };
        assert_eq!(at(2.0).computing_of_rank(0), [10, 11]);
        assert!(at(6.0).computing_of_rank(0).is_empty());
        assert_eq!((at(2.0).all(), at(6.0).all()), (vec![10], vec![20]));
    }
}
