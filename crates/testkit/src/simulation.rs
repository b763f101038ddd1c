//! Meters a simulated sensor in simulated time with the meter's own arithmetic: `Timeline`, `Awaited`, `EdgeReads`,
//! `readings`. Only the clock and the hardware are simulated, so that thousands of windows take seconds.
//!
//! The bench prints its table from here, and a test checks the stated uncertainty.

pub mod troubled;

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind, SourceReading, Window};
use joulemark_meter::{Awaited, EdgeReads, Pace, Place, Polls, SourceDescription, SourceId, Timeline, Value, readings};

use crate::Shape;

/// A small random number generator (xorshift64*) with the same numbers in every run.
pub struct Chance(u64);

impl Chance {
    /// Creates a generator.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a uniform number between `low` and `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let unit = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * unit
    }

    /// Returns one of the choices.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.between(0.0, choices.len() as f64) as usize).min(choices.len() - 1)]
    }
}

/// A kind of sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    GpuCounter,
    RaplCounter,
    InstantPower,
    AveragedPower,
    /// A counter with a longer refresh period than the meter expects.
    SlowCounter,
}

impl Kind {
    /// The kinds that most hosts have.
    pub const ALL: [Self; 4] = [
        Self::GpuCounter,
        Self::RaplCounter,
        Self::InstantPower,
        Self::AveragedPower,
    ];

    /// Returns the name of the kind in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::GpuCounter => "NVML counter",
            Self::RaplCounter => "RAPL counter",
            Self::InstantPower => "NVML instant power",
            Self::AveragedPower => "NVML power, 1 s average",
            Self::SlowCounter => "NVML counter, slow",
        }
    }

    /// Returns the refresh periods of such hardware, in seconds.
    pub fn refreshes(self) -> &'static [f64] {
        match self {
            Self::GpuCounter => &[0.02, 0.05, 0.1],
            Self::RaplCounter => &[0.001],
            Self::SlowCounter => &[0.15, 0.2, 0.35, 0.5, 0.75, 1.0],
            Self::InstantPower | Self::AveragedPower => &[0.001, 0.005, 0.02, 0.05, 0.1],
        }
    }

    fn description(self) -> SourceDescription {
        let is_gpu = self != Self::RaplCounter;
        let is_counter = matches!(self, Self::GpuCounter | Self::RaplCounter | Self::SlowCounter);
        SourceDescription {
            id: SourceId {
                kind: if is_gpu {
                    EnergySourceKind::Nvml
                } else {
                    EnergySourceKind::RaplPowercap
                },
                domain: if is_gpu {
                    EnergyDomain::Gpu
                } else {
                    EnergyDomain::Package
                },
                place: Place::Gpu {
                    index: 0,
                    uuid: "GPU-simulated".to_owned(),
                },
            },
            method: if is_counter {
                EnergyMethod::EnergyCounter
            } else {
                EnergyMethod::PowerIntegration
            },
            refresh_sec: if is_gpu { 0.1 } else { 0.001 },
            averaging_sec: if self == Self::AveragedPower { 1.0 } else { 0.0 },
            relative_uncertainty: 0.0,
            wraps: None,
            note: None,
        }
    }
}

/// A simulated load, and the sensor that shows it.
#[derive(Clone, Copy, Debug)]
pub struct Sensor {
    pub kind: Kind,
    pub shape: Shape,
    pub refresh_sec: f64,
    /// Phase of the sensor's refresh period at time 0, in seconds.
    pub phase_sec: f64,
    /// Half of the maximum error of a power value, in watts.
    pub noise_w: f64,
    /// Time span in which the sensor keeps showing its value at the beginning of the span.
    pub frozen_sec: Option<(f64, f64)>,
    /// Time span in which nothing is counted.
    pub lost_sec: Option<(f64, f64)>,
}

impl Sensor {
    /// Returns the noise of a refresh, the same every time: real sensors hardly ever show one value twice in a row.
    fn noise_w(&self, shown: f64) -> f64 {
        let mut chance = Chance::new(((shown + self.phase_sec) * 1e7) as u64);
        chance.between(0.0, 1.0);
        self.noise_w * (chance.between(-1.0, 1.0) + chance.between(-1.0, 1.0))
    }

    /// Returns the mean power over the refresh period before a time or over the one after it, whichever is larger.
    fn power_beside(&self, at_sec: f64) -> f64 {
        let [before, at, after] =
            [-1.0, 0.0, 1.0].map(|refreshes| self.shape.energy_j(at_sec + refreshes * self.refresh_sec));
        (at - before).max(after - at) / self.refresh_sec
    }

    /// Returns the energy that was not counted until a time.
    fn lost_j(&self, at_sec: f64) -> f64 {
        let lost = self.lost_sec.filter(|(since, _)| *since < at_sec);
        lost.map_or(0.0, |(since, until)| {
            self.shape.energy_j(at_sec.min(until)) - self.shape.energy_j(since)
        })
    }

    fn value(&self, at_sec: f64) -> Value {
        let looked = match self.frozen_sec {
            Some((since, until)) if (since..until).contains(&at_sec) => since,
            _ => at_sec,
        };
        let shown = if self.refresh_sec > 0.0 {
            ((looked - self.phase_sec) / self.refresh_sec).floor() * self.refresh_sec + self.phase_sec
        } else {
            looked
        };
        let energy = |at| self.shape.energy_j(at) - self.lost_j(at);
        let (counter_j, power_w) = match self.kind {
            Kind::GpuCounter | Kind::SlowCounter => (Some((energy(shown) * 1e3).floor() / 1e3), None),
            Kind::RaplCounter => (Some((energy(shown) * 16384.0).floor() / 16384.0), None),
            Kind::InstantPower => (None, Some(milliwatts(self.shape.power_w(shown) + self.noise_w(shown)))),
            Kind::AveragedPower => (
                None,
                Some(milliwatts(energy(shown) - energy(shown - 1.0) + self.noise_w(shown))),
            ),
        };
        Value {
            at: Monotonic::from_sec(at_sec),
            counter_j,
            power_w,
        }
    }
}

/// Noise levels of sensors, in watts: some scatter, others repeat values.
const NOISES_W: [f64; 2] = [0.0, 0.3];

fn milliwatts(watts: f64) -> f64 {
    (watts * 1e3).floor() / 1e3
}

/// The result of metering one window, and the true energy.
pub struct Metered {
    pub reading: SourceReading,
    pub truth_j: f64,
    /// Mean power over a refresh period at the edges: an error of this size is allowed for a counter.
    pub edge_w: f64,
}

impl Metered {
    /// Returns the absolute error of the energy, in joules.
    pub fn error_j(&self) -> f64 {
        (self.reading.energy_j.expect("a simulated sensor always answers") - self.truth_j).abs()
    }

    /// Returns whether the energy is unknown.
    pub fn is_null(&self) -> bool {
        self.reading.energy_j.is_none()
    }

    /// Returns whether the interval contains the true energy.
    pub fn is_covered(&self) -> bool {
        self.error_j() <= self.reading.uncertainty_j.expect("a known energy has an uncertainty")
    }
}

/// The meter's thread in simulated time.
struct Meter<'a> {
    sensor: &'a Sensor,
    timeline: Timeline,
    now_sec: f64,
    next_sweep_sec: f64,
    polls: Polls,
    edge_reads: Option<EdgeReads>,
    sweep: Duration,
    /// Time span in which nothing is read.
    stall_sec: Option<(f64, f64)>,
}

/// Time between checks whether a window has settled.
const LOOK_SEC: f64 = 10e-3;

/// Duration of a call into the driver, and the delay with which a sleeping thread wakes up.
const READ_SEC: f64 = 20e-6;
const LATE_SEC: (f64, f64) = (50e-6, 400e-6);

impl<'a> Meter<'a> {
    fn new(sensor: &'a Sensor, sweep: Duration, now_sec: f64) -> Self {
        let timeline = Timeline::new(vec![sensor.kind.description()], sweep.as_secs_f64());
        Self {
            sensor,
            now_sec,
            next_sweep_sec: now_sec,
            polls: Polls::plan(&timeline, Monotonic::from_sec(now_sec)),
            timeline,
            edge_reads: None,
            sweep,
            stall_sec: None,
        }
    }

    fn now(&self) -> Monotonic {
        Monotonic::from_sec(self.now_sec)
    }

    fn read(&mut self, edge: bool) {
        if let Some((since, until)) = self.stall_sec
            && (since..until).contains(&self.now_sec)
        {
            self.now_sec = until;
        }
        self.now_sec += READ_SEC;
        self.timeline.record(0, Ok(self.sensor.value(self.now_sec)), edge);
    }

    fn edge(&mut self) {
        self.read(true);
        let mut awaited = Awaited::at_edge(&self.timeline, self.now());
        while !awaited.to_read(&self.timeline, self.now()).is_empty() {
            self.read(true);
        }
        self.edge_reads = EdgeReads::after_edge(&self.timeline, self.now());
    }

    fn run_until(&mut self, end_sec: f64, chance: &mut Chance) {
        loop {
            let next_edge_read = self
                .edge_reads
                .as_ref()
                .map_or(f64::INFINITY, |reads| reads.next().as_sec());
            let polled = self.polls.next().as_sec();
            let next = self.next_sweep_sec.min(next_edge_read).min(polled);
            if next >= end_sec || self.now_sec >= end_sec {
                self.now_sec = self.now_sec.max(end_sec);
                return;
            }
            self.now_sec = self.now_sec.max(next) + chance.between(LATE_SEC.0, LATE_SEC.1);
            self.read(false);
            if next == self.next_sweep_sec {
                self.next_sweep_sec += self.sweep.as_secs_f64();
            } else if next == polled {
                let (then, now) = (Monotonic::from_sec(next), self.now());
                let pace = Pace {
                    sweep: self.sweep,
                    attended: true,
                };
                self.polls.after(&self.timeline, pace, then, now, READ_SEC);
            } else {
                let (then, now) = (Monotonic::from_sec(next), self.now());
                self.edge_reads = self
                    .edge_reads
                    .take()
                    .and_then(|reads| reads.after(&self.timeline, then, now));
            }
        }
    }
}

/// The timing of a window: when the meter begins, when the window begins, and how close its edges are read.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    began_sec: f64,
    rest_sec: f64,
    before_sec: f64,
    length_sec: f64,
    after_sec: f64,
    /// Time after the window's start at which reading stalls, and for how long.
    stall_sec: Option<(f64, f64)>,
}

impl Course {
    /// Returns a random course for a window of this length.
    pub fn any(length_sec: f64, chance: &mut Chance) -> Self {
        Self {
            began_sec: chance.between(100.0, 200.0),
            rest_sec: chance.between(1.6, 2.6),
            before_sec: chance.between(50e-6, 3e-3),
            length_sec,
            after_sec: chance.between(50e-6, 3e-3),
            stall_sec: None,
        }
    }

    /// Returns the course with nothing read for `sec` from `after_start_sec` on.
    pub fn with_a_stall(self, after_start_sec: f64, sec: f64) -> Self {
        Self {
            stall_sec: Some((after_start_sec, sec)),
            ..self
        }
    }

    /// Returns the course with the meter beginning immediately before the window.
    pub fn begun_right_before(self) -> Self {
        Self { rest_sec: 0.1, ..self }
    }

    /// Returns approximately when the window begins; edges that wait for a refresh delay it by some milliseconds.
    pub fn start_sec(&self) -> f64 {
        self.began_sec + self.rest_sec + self.before_sec
    }
}

/// Meters one window like the server.
pub fn meter(sensor: &Sensor, course: Course, sweep: Duration, chance: &mut Chance) -> Metered {
    let mut meter = Meter::new(sensor, sweep, course.began_sec);
    meter.edge();
    meter.run_until(meter.now_sec + course.rest_sec, chance);
    meter.edge();
    let start = meter.now_sec + course.before_sec;
    let end = start + course.length_sec;
    meter.stall_sec = course
        .stall_sec
        .map(|(after, sec)| (start + after, start + after + sec));
    meter.run_until(end + course.after_sec, chance);
    meter.edge();
    loop {
        let settled = end + meter.timeline.settle_sec() + 1e-3;
        if settled <= meter.now_sec {
            break;
        }
        meter.run_until(settled.min(meter.now_sec + LOOK_SEC), chance);
    }
    meter.read(false);
    let window = Window {
        start_monotonic_sec: start,
        end_monotonic_sec: end,
    };
    let energy = |at| sensor.shape.energy_j(at);
    Metered {
        reading: readings(&meter.timeline, &window).remove(0),
        truth_j: energy(end) - energy(start),
        edge_w: sensor.power_beside(start).max(sensor.power_beside(end)),
    }
}

/// Names of the shapes of load.
pub const SHAPES: [&str; 6] = ["constant", "step", "sine", "ramp", "square", "burst"];

/// Returns a shape with random parameters: from idle to full power of a GPU, with periods of a tenth to several
/// seconds.
pub fn any_shape(name: &str, chance: &mut Chance) -> Shape {
    let (low_w, high_w) = (chance.between(40.0, 150.0), chance.between(200.0, 450.0));
    match name {
        "constant" => Shape::Constant { watts: high_w },
        // About one change of load in each window.
        "step" => Shape::Step {
            low_w,
            high_w,
            period_sec: chance.between(3.0, 30.0),
        },
        "sine" => Shape::Sine {
            mean_w: high_w,
            amplitude_w: low_w,
            period_sec: chance.between(0.5, 8.0),
        },
        "ramp" => Shape::Ramp {
            low_w,
            high_w,
            period_sec: chance.between(0.5, 8.0),
        },
        "square" => Shape::Step {
            low_w,
            high_w,
            period_sec: chance.between(0.4, 2.0),
        },
        "burst" => {
            let (period_sec, length_sec) = (chance.between(0.15, 1.0), chance.between(0.01, 0.08));
            Shape::Burst {
                low_w,
                high_w,
                period_sec,
                length_sec,
            }
        }
        other => panic!("no shape is called {other}"),
    }
}

/// Returns a random sensor of this kind with a load of this shape.
pub fn any_sensor(kind: Kind, shape: &str, chance: &mut Chance) -> Sensor {
    Sensor {
        kind,
        shape: any_shape(shape, chance),
        refresh_sec: chance.one_of(kind.refreshes()),
        phase_sec: chance.between(0.0, 0.1),
        noise_w: chance.one_of(&NOISES_W),
        frozen_sec: None,
        lost_sec: None,
    }
}

/// One window to meter.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub sensor: Sensor,
    pub course: Course,
}

impl Case {
    /// Sampling interval of the meter.
    const SWEEP: Duration = Duration::from_millis(100);

    /// Meters the window.
    pub fn meter(&self, chance: &mut Chance) -> Metered {
        meter(&self.sensor, self.course, Self::SWEEP, chance)
    }
}

/// Returns `count` cases of all shapes, lengths (0.2 to 20 s), refresh periods and phases.
pub fn cases(kind: Kind, count: u32, chance: &mut Chance) -> Vec<Case> {
    let one = |number: u32| Case {
        sensor: any_sensor(kind, SHAPES[number as usize % SHAPES.len()], chance),
        course: Course::any(0.2 * 100f64.powf(chance.between(0.0, 1.0)), chance),
    };
    (0..count).map(one).collect()
}

/// Meters `count` random windows.
pub fn windows(kind: Kind, count: u32, chance: &mut Chance) -> Vec<Metered> {
    let cases = cases(kind, count, chance);
    cases.iter().map(|case| case.meter(chance)).collect()
}

/// Coverage and width of the stated intervals, and the true errors.
pub struct Honesty {
    /// Share of the windows whose interval contains the true energy.
    pub coverage: f64,
    pub median_half_width_j: f64,
    pub median_error_j: f64,
}

/// Returns how well the intervals of some windows hold.
pub fn honesty(windows: &[Metered]) -> Honesty {
    let covered = windows.iter().filter(|window| window.is_covered()).count();
    Honesty {
        coverage: covered as f64 / windows.len() as f64,
        median_half_width_j: median(
            windows
                .iter()
                .map(|window| window.reading.uncertainty_j.unwrap_or(f64::NAN)),
        ),
        median_error_j: median(windows.iter().map(Metered::error_j)),
    }
}

/// Returns the upper median.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
