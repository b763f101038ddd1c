//! Reads the raw results that charts need: times of requests, phases and figures of the ranks. Holds the requests of
//! only one rank and cycle at a time in memory.

use futures::TryStreamExt as _;
use jiff::Timestamp;

use joulemark_analysis::{PassStretches, complete_rank_cycle, stretches};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{FailedRequest, RankCycle, RequestMeasurement};
use joulemark_store::{Store, StoreError};

use crate::number;

/// Maximum number of intervals between outputs that are kept; beyond it every second one is dropped.
const MAX_GAPS: usize = 1 << 18;

/// Raw results that the charts of an experiment need.
#[derive(Debug, Default)]
pub struct Raw {
    /// Figures by cycle and rank, without the requests.
    pub ranks: Vec<RankCycle>,
    pub requests: Vec<RequestTimes>,
    pub failed: Vec<Failed>,
    pub phases: Vec<PassStretches>,
    pub gaps: Gaps,
    /// When retention deleted the requests; `None` while they are kept.
    pub dropped_at: Option<Timestamp>,
}

/// Times of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestTimes {
    pub cycle: u32,
    pub rank: u32,
    pub prompt_index: u32,
    pub output_tokens: u32,
    pub due_sec: Option<f64>,
    pub sent_sec: f64,
    pub first_sec: Option<f64>,
    pub completed_sec: f64,
    pub ttft_ms: Option<f64>,
    pub tpot_ms: Option<f64>,
    pub e2e_ms: f64,
}

/// A failed request.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    pub cycle: u32,
    pub rank: u32,
    pub request: FailedRequest,
}

/// Milliseconds between consecutive outputs: all of them, or an even sample.
#[derive(Debug)]
pub struct Gaps {
    pub ms: Vec<f64>,
    /// Whether they are between chunks of a server, which may hold several tokens.
    pub are_of_chunks: bool,
    /// Sampling step: one of this many is kept.
    every: usize,
    seen: usize,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            ms: Vec::new(),
            are_of_chunks: false,
            every: 1,
            seen: 0,
        }
    }
}

impl Gaps {
    /// Returns whether some intervals were dropped.
    pub fn is_sample(&self) -> bool {
        self.ms.len() < self.seen
    }

    /// Returns the number of intervals as text, with the size of the sample if it is one.
    pub fn count_in_words(&self) -> String {
        let seen = number::count(self.seen);
        match self.is_sample() {
            true => format!("a sample of {} of {seen} intervals", number::count(self.ms.len())),
            false => format!("{seen} intervals"),
        }
    }

    fn add(&mut self, request: &RequestMeasurement) {
        self.are_of_chunks |= request.token_monotonic_sec.is_empty() && !request.chunks.is_empty();
        let later = request.output_monotonic_sec().skip(1);
        for (before, after) in request.output_monotonic_sec().zip(later) {
            if self.seen.is_multiple_of(self.every) {
                self.ms.push((after - before) * MILLISECONDS_PER_SECOND);
            }
            self.seen += 1;
            if self.ms.len() >= MAX_GAPS {
                self.every *= 2;
                let mut place = 0;
                self.ms.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
            }
        }
    }
}

impl Raw {
    /// Reads the raw results of an experiment; they are empty when it has none.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn read(store: &Store, id: ExperimentId) -> Result<Self, StoreError> {
        let mut raw = Self {
            dropped_at: store.raw_data_dropped_at(id).await?,
            ..Self::default()
        };
        let mut cycles = Box::pin(store.rank_cycles(id));
        while let Some(cycle) = cycles.try_next().await? {
            raw.add(cycle);
        }
        Ok(raw)
    }

    fn add(&mut self, mut of: RankCycle) {
        complete_rank_cycle(&mut of);
        let requests = std::mem::take(&mut of.requests);
        self.phases.push(stretches(&requests));
        for request in &requests {
            self.gaps.add(request);
            self.requests.push(times((of.cycle, of.rank), request));
        }
        self.failed.extend(of.failed_requests.iter().map(|request| Failed {
            cycle: of.cycle,
            rank: of.rank,
            request: *request,
        }));
        self.ranks.push(of);
    }
}

fn times((cycle, rank): (u32, u32), request: &RequestMeasurement) -> RequestTimes {
    RequestTimes {
        cycle,
        rank,
        prompt_index: request.prompt_index,
        output_tokens: request.output_tokens,
        due_sec: request.due_monotonic_sec,
        sent_sec: request.sent_monotonic_sec,
        first_sec: request.output_monotonic_sec().next(),
        completed_sec: request.completed_monotonic_sec,
        ttft_ms: request.ttft_ms,
        tpot_ms: request.tpot_ms(),
        e2e_ms: request.e2e_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_intervals_are_sampled_evenly() {
        let mut gaps = Gaps::default();
        let request = RequestMeasurement {
            token_monotonic_sec: (0..=MAX_GAPS * 2).map(|step| step as f64).collect(),
            ..RequestMeasurement::default()
        };
        gaps.add(&request);
        assert!(
            gaps.ms.len() < MAX_GAPS && gaps.ms.len() * 4 >= MAX_GAPS,
            "{}",
            gaps.ms.len()
        );
        assert_eq!(gaps.every, 4);
        let words = format!("a sample of {} of 524,288 intervals", number::count(gaps.ms.len()));
        assert_eq!(gaps.count_in_words(), words);
        assert_eq!(Gaps::default().count_in_words(), "0 intervals");
        assert!(gaps.ms.iter().all(|ms| *ms == MILLISECONDS_PER_SECOND));
    }
}
