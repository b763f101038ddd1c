//! When to poll sources that only show power. Leaves the polling to the meter's thread, and to simulations.
//!
//! What happens between two polls is a guess: a step of 200 W within 100 ms may be 10 J off. While somebody attends to
//! the meter each of the sensor's own refreshes is seen, as far as a share of one core reaches; such boards are few.

use std::time::Duration;

use super::series::FAST_REFRESH_SEC;
use super::timeline::Timeline;
use joulemark_measurement::EnergyMethod;
use joulemark_measurement::clock::Monotonic;

/// Without anybody's attention: this part of a sweep's interval, down to 22 ms. Neither divides what sensors' periods are.
const POLLS_PER_SWEEP: f64 = 4.6;
const MIN_UNATTENDED_SEC: f64 = 0.022;

/// Every refresh is seen when polls come at most this part of its period apart.
const POLL_SPACING_IN_REFRESHES: f64 = 0.45;

/// Share of one core that polls of all sources together may take.
const MAX_SHARE_OF_A_CORE: f64 = 0.01;

/// How much one poll's cost moves the mean.
const COST_LEARNT_PER_POLL: f64 = 0.1;

/// Intervals are spread over this part of their mean, in the order of the golden ratio.
const UNEVENNESS: f64 = 0.5;
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The pace that the polling schedule follows.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two regular sweeps.
    pub sweep: Duration,
    /// Whether somebody measures a window just now, or is about to.
    pub attended: bool,
}

/// The polling schedule of the sources that only show power, each with a period of its own.
#[derive(Clone, Debug)]
pub struct Polls {
    due: Vec<Due>,
    cost_sec: f64,
}

#[derive(Clone, Debug)]
struct Due {
    source: usize,
    next: Monotonic,
    count: u32,
}

impl Polls {
    /// Creates the schedule for a timeline's sources, all of them due `now`.
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

    /// Returns when the next poll is due: the end of time where nothing is polled.
    pub fn next(&self) -> Monotonic {
        self.due.iter().map(|due| due.next).min().unwrap_or(Monotonic(u64::MAX))
    }

    /// Returns the sources to read now, by their number in the timeline.
    pub fn due(&self, now: Monotonic) -> Vec<usize> {
        let due = self.due.iter().filter(|due| due.next <= now);
        due.map(|due| due.source).collect()
    }

    /// Plans the next poll of what was due at `then` and was read until `now`, which took `spent_sec` of CPU time.
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
            // After a stall, go on from now: catching up in a burst would add nothing.
            due.next = later(due.next, uneven(mean_sec, due.count)).max(now);
        }
    }
}

impl Pace {
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

/// Returns an interval that is never in step with a sensor or a load that has a rhythm of its own: the golden ratio
/// spreads intervals evenly between ¾ and 5⁄4 of their mean.
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

    /// A polled board on a load that never stands still.
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

        /// As after a window's edge, where it is read on.
        fn read_closely(&mut self, from_sec: f64) {
            for reading in 0..300u32 {
                self.read(from_sec + 0.001 * f64::from(reading));
            }
        }

        /// The moments of its polls until `until_sec`, each of which takes `spent_sec` of CPU time.
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
    fn nobody_s_board_is_polled_a_few_times_a_sweep_and_never_evenly() {
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
    fn a_library_that_takes_long_is_polled_within_the_budget_whoever_attends() {
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
