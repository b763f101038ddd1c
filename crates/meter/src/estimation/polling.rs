//! Schedules the polls of sources that show only power. Leaves the polling to the meter's thread and to simulations.
//!
//! Power between two polls is unknown: a step of 200 W within 100 ms may be 10 J off. While a window is measured, polls
//! are frequent enough to see every refresh of the sensor, up to a share of one core.

use std::time::Duration;

use super::series::FAST_REFRESH_SEC;
use super::timeline::Timeline;
use joulemark_measurement::EnergyMethod;
use joulemark_measurement::clock::Monotonic;

/// Number of polls in a regular sweep's interval while no window is measured.
const POLLS_PER_SWEEP: f64 = 4.6;
/// Minimum interval in seconds of these polls. Refresh periods of 20, 50 and 100 ms are no multiples of either interval,
/// so that polls do not see the same phase each time.
const MIN_UNATTENDED_SEC: f64 = 0.022;

/// Maximum spacing of polls as a part of the refresh period, with which every refresh is seen.
const POLL_SPACING_IN_REFRESHES: f64 = 0.45;

/// Maximum share of one core that the polls of all sources together take.
const MAX_SHARE_OF_A_CORE: f64 = 0.01;

/// Weight of one poll in the running mean of a poll's cost.
const COST_LEARNT_PER_POLL: f64 = 0.1;

/// Range of the intervals as a part of their mean.
const UNEVENNESS: f64 = 0.5;
/// Golden ratio, by which the intervals are spread over this range.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The intervals at which the schedule polls.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Interval between two regular sweeps.
    pub sweep: Duration,
    /// Whether a window is being measured or is about to be.
    pub attended: bool,
}

/// The polling schedule of the sources that show only power. Each source has its own interval.
#[derive(Clone, Debug)]
pub struct Polls {
    due: Vec<Due>,
    cost_sec: f64,
}

/// The next poll of one source.
#[derive(Clone, Debug)]
struct Due {
    source: usize,
    next: Monotonic,
    count: u32,
}

impl Polls {
    /// Creates the schedule for a timeline's sources. All polls are due `now`.
    pub fn plan(timeline: &Timeline, now: Monotonic) -> Self {
        let tracks = timeline.tracks().iter().enumerate();
        let polled = tracks.filter(|(_, track)| track.description.method == EnergyMethod::PowerIntegration);
        let due = polled.map(|(source, _)| Due {
            source,
            next: now,
            count: 0,
        });
        Self {
            due: due.collect(),
            cost_sec: 0.0,
        }
    }

    /// Returns the time of the next poll, or the maximum time when nothing is polled.
    pub fn next(&self) -> Monotonic {
        self.due.iter().map(|due| due.next).min().unwrap_or(Monotonic(u64::MAX))
    }

    /// Returns the numbers in the timeline of the sources to read now.
    pub fn due(&self, now: Monotonic) -> Vec<usize> {
        let due = self.due.iter().filter(|due| due.next <= now);
        due.map(|due| due.source).collect()
    }

    /// Schedules the next poll of the sources that were due at `then`. They were read until `now`, which took
    /// `spent_sec` of CPU time.
    pub fn after(&mut self, timeline: &Timeline, pace: Pace, then: Monotonic, now: Monotonic, spent_sec: f64) {
        let read = self.due.iter().filter(|due| due.next <= then).count();
        if read == 0 {
            return;
        }
        self.cost_sec += COST_LEARNT_PER_POLL * (spent_sec / read as f64 - self.cost_sec);
        let least_sec = self.cost_sec * self.due.len() as f64 / MAX_SHARE_OF_A_CORE;
        for due in self.due.iter_mut().filter(|due| due.next <= then) {
            let refresh_sec = timeline.tracks()[due.source].power_refresh_sec();
            let mean_sec = pace.mean_sec(refresh_sec).max(least_sec);
            due.count = due.count.wrapping_add(1);
            // After a stall polling goes on from now: a burst of late polls would add nothing.
            due.next = later(due.next, uneven(mean_sec, due.count)).max(now);
        }
    }
}

impl Pace {
    /// Returns the mean interval in seconds between two polls of a sensor with this refresh period.
    fn mean_sec(self, refresh_sec: Option<f64>) -> f64 {
        let sweep_sec = self.sweep.as_secs_f64();
        let usual_sec = (sweep_sec / POLLS_PER_SWEEP).max(MIN_UNATTENDED_SEC).min(sweep_sec);
        if !self.attended {
            return usual_sec;
        }
        let refresh_sec = refresh_sec.unwrap_or(0.0);
        (POLL_SPACING_IN_REFRESHES * refresh_sec)
            .max(FAST_REFRESH_SEC)
            .min(usual_sec)
    }
}

/// Returns an interval in seconds that does not fall into step with a sensor or a periodic load. The golden ratio
/// spreads the intervals evenly between ¾ and 5⁄4 of their mean.
fn uneven(mean_sec: f64, count: u32) -> f64 {
    mean_sec * (1.0 - UNEVENNESS / 2.0 + UNEVENNESS * (f64::from(count) * GOLDEN).fract())
}

fn later(moment: Monotonic, sec: f64) -> Monotonic {
    Monotonic::from_sec(moment.as_sec() + sec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::source::Value;

    const SWEEP: Duration = Duration::from_millis(100);

    /// A polled board under a load that changes all the time.
    struct Board {
        timeline: Timeline,
        polls: Polls,
        refresh_sec: f64,
    }

    impl Board {
        fn new(refresh_sec: f64) -> Self {
            let timeline = Timeline::new(
                vec![fixtures::gpu(0, EnergyMethod::PowerIntegration)],
                SWEEP.as_secs_f64(),
            );
            Self {
                polls: Polls::plan(&timeline, Monotonic::from_sec(1.0)),
                timeline,
                refresh_sec,
            }
        }

        fn read(&mut self, at_sec: f64) {
            let value = Value {
                at: Monotonic::from_sec(at_sec),
                counter_j: None,
                power_w: Some(100.0 + (at_sec / self.refresh_sec).floor()),
            };
            self.timeline.record(0, Ok(value), false);
        }

        /// Reads closely, as after a window's edge.
        fn read_closely(&mut self, from_sec: f64) {
            for reading in 0..300u32 {
                self.read(from_sec + 0.001 * f64::from(reading));
            }
        }

        /// Returns the times of the polls until `until_sec`, each of which takes `spent_sec` of CPU time.
        fn polled_until(&mut self, until_sec: f64, attended: bool, spent_sec: f64) -> Vec<f64> {
            let mut moments = Vec::new();
            while self.polls.next().as_sec() < until_sec {
                let now = self.polls.next();
                self.read(now.as_sec());
                let pace = Pace { sweep: SWEEP, attended };
                self.polls.after(&self.timeline, pace, now, now, spent_sec);
                moments.push(now.as_sec());
            }
            moments
        }
    }

    fn mean_gap_sec(moments: &[f64]) -> f64 {
        (moments[moments.len() - 1] - moments[0]) / (moments.len() - 1) as f64
    }

    #[test]
    fn an_unattended_board_is_polled_a_few_times_a_sweep_and_never_evenly() {
        let moments = Board::new(0.1).polled_until(11.0, false, 0.0);
        let mean_sec = mean_gap_sec(&moments);
        assert!((mean_sec - MIN_UNATTENDED_SEC).abs() < 5e-4, "{mean_sec}");
        let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]);
        let (least, most) = gaps.fold((f64::INFINITY, 0.0f64), |(least, most), gap| {
            (least.min(gap), most.max(gap))
        });
        assert!(least < 0.8 * mean_sec && most > 1.2 * mean_sec, "{least} {most}");
    }

    #[test]
    fn each_refresh_of_an_attended_board_is_seen_once_its_period_is_known() {
        let mut board = Board::new(0.02);
        board.read_closely(0.5);
        let moments = board.polled_until(5.0, true, 0.0);
        assert!(
            (mean_gap_sec(&moments) - 0.45 * 0.02).abs() < 1e-3,
            "{}",
            mean_gap_sec(&moments)
        );
        let seen = moments.iter().map(|at| (at / 0.02).floor() as u64);
        let mut seen: Vec<u64> = seen.collect();
        seen.dedup();
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "one was missed");
    }

    #[test]
    fn a_slow_library_is_polled_within_the_budget_also_while_attended() {
        let mut board = Board::new(0.02);
        board.polled_until(20.0, true, 0.002);
        let moments = board.polled_until(60.0, true, 0.002);
        let share = 0.002 / mean_gap_sec(&moments);
        assert!(share < 1.1 * MAX_SHARE_OF_A_CORE, "{share}");
    }

    #[test]
    fn after_a_stall_polls_go_on_from_now() {
        let mut board = Board::new(0.1);
        let then = board.polls.next();
        let late = later(then, 5.0);
        let pace = Pace {
            sweep: SWEEP,
            attended: true,
        };
        board.polls.after(&board.timeline, pace, then, late, 0.0);
        assert!(board.polls.next() >= late);
    }
}
