//! A second witness that contradicts takes the confidence down, and healthy boards are never accused: counters with power
//! beside them, in simulated time, with the meter's own arithmetic.

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{Confidence, EnergyDomain, EnergyMethod, EnergySourceKind, SourceReading, Window};
use joulemark_meter::{Place, SourceDescription, SourceId, Timeline, Value, readings};

use crate::shape::Shape;
use crate::simulation::{Chance, SHAPES, any_shape};

/// A board, as its counter and its power show what it draws.
#[derive(Clone, Copy, Debug)]
struct Board {
    shape: Shape,
    counter_refresh_sec: f64,
    power_refresh_sec: f64,
    averaging_sec: f64,
    phase_sec: f64,
    noise_w: f64,
    /// What the counter shows of the energy.
    counted: f64,
}

impl Board {
    fn any(shape: &str, averaging_sec: f64, chance: &mut Chance) -> Self {
        Self {
            shape: any_shape(shape, chance),
            counter_refresh_sec: chance.one_of(&[0.02, 0.05, 0.1]),
            power_refresh_sec: chance.one_of(&[0.02, 0.05, 0.1]),
            averaging_sec,
            phase_sec: chance.between(0.0, 0.1),
            noise_w: chance.one_of(&[0.0, 0.3]),
            counted: 1.0,
        }
    }

    fn value(&self, at_sec: f64, with_power: bool, chance: &mut Chance) -> Value {
        let shown = |refresh_sec: f64| ((at_sec - self.phase_sec) / refresh_sec).floor() * refresh_sec + self.phase_sec;
        let counter_j = self.counted * self.shape.energy_j(shown(self.counter_refresh_sec));
        let at = shown(self.power_refresh_sec);
        let power_w = if self.averaging_sec > 0.0 {
            (self.shape.energy_j(at) - self.shape.energy_j(at - self.averaging_sec)) / self.averaging_sec
        } else {
            self.shape.power_w(at)
        };
        Value {
            at: Monotonic::from_sec(at_sec),
            counter_j: Some((counter_j * 1e3).floor() / 1e3),
            power_w: with_power.then(|| power_w + self.noise_w * chance.between(-1.0, 1.0)),
        }
    }

    /// Meters a window that begins `rest_sec` after the meter: sweeps every 100 ms, and the counter alone around edges.
    fn meter(&self, rest_sec: f64, length_sec: f64, chance: &mut Chance) -> SourceReading {
        let description = SourceDescription {
            id: SourceId {
                kind: EnergySourceKind::Nvml,
                domain: EnergyDomain::Gpu,
                place: Place::Gpu {
                    index: 0,
                    uuid: "GPU-simulated".to_owned(),
                },
            },
            method: EnergyMethod::EnergyCounter,
            refresh_sec: 0.1,
            averaging_sec: if self.averaging_sec > 0.0 { 1.0 } else { 0.0 },
            relative_uncertainty: 0.0,
            wraps: None,
            note: None,
        };
        let began = chance.between(100.0, 200.0);
        let (start, end) = (began + rest_sec, began + rest_sec + length_sec);
        let mut reads: Vec<(f64, bool)> = Vec::new();
        let mut sweep = began;
        while sweep < end + 0.4 {
            reads.push((sweep + chance.between(50e-6, 400e-6), true));
            sweep += 0.1;
        }
        for edge in [start, end] {
            reads.push((edge - 1e-4, true));
            reads.push((edge + 1e-4, true));
            reads.extend((1..=88).map(|step| (edge + 2.5e-3 * f64::from(step), false)));
        }
        reads.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut timeline = Timeline::new(vec![description], 0.1);
        for (at_sec, with_power) in reads {
            timeline.record(0, Ok(self.value(at_sec, with_power, chance)), false);
        }
        let window = Window {
            start_monotonic_sec: start,
            end_monotonic_sec: end,
        };
        readings(&timeline, &window).remove(0)
    }
}

fn contradicts(reading: &SourceReading) -> bool {
    reading.note.as_ref().is_some_and(|note| note.contains("is wrong"))
}

/// Of `count` windows of 0.3 to 30 s on healthy boards, those in which two are said to disagree.
fn false_alarms(count: u32, averaging_sec: f64, seed: u64) -> Vec<(Board, f64, SourceReading)> {
    let mut chance = Chance::new(seed);
    let mut alarms = Vec::new();
    for number in 0..count {
        let board = Board::any(SHAPES[number as usize % SHAPES.len()], averaging_sec, &mut chance);
        let length_sec = 0.3 * 100f64.powf(chance.between(0.0, 1.0));
        let rest_sec = chance.one_of(&[0.001, 0.5, 3.0]);
        let reading = board.meter(rest_sec, length_sec, &mut chance);
        assert!(reading.energy_j.is_some(), "{board:?}: {reading:?}");
        if contradicts(&reading) {
            alarms.push((board, length_sec, reading));
        }
    }
    alarms
}

#[test]
fn healthy_boards_of_all_kinds_are_never_said_to_contradict_themselves() {
    for (averaging_sec, seed) in [(1.0, 11), (0.0, 12), (0.025, 13)] {
        let alarms = false_alarms(1000, averaging_sec, seed);
        assert!(
            alarms.is_empty(),
            "{} of 1000 with an average of {averaging_sec} s: {:#?}",
            alarms.len(),
            alarms.iter().take(3).collect::<Vec<_>>()
        );
    }
}

fn steady(counted: f64, averaging_sec: f64, shape: &str) -> Board {
    Board {
        shape: Shape::parse(shape).expect("a shape"),
        counter_refresh_sec: 0.1,
        power_refresh_sec: 0.1,
        averaging_sec,
        phase_sec: 0.03,
        noise_w: 0.3,
        counted,
    }
}

#[test]
fn a_counter_that_integrated_power_contradicts_is_low_and_both_are_named_with_how_far() {
    let mut chance = Chance::new(3);
    for counted in [0.57, 1.75, 0.1, 5.0] {
        for averaging_sec in [0.0, 1.0] {
            for shape in ["constant:300", "square:250:350:1.3"] {
                for length_sec in [2.0, 6.0, 20.0] {
                    let board = steady(counted, averaging_sec, shape);
                    let reading = board.meter(2.5, length_sec, &mut chance);
                    let said = format!("{board:?} over {length_sec} s: {reading:?}");
                    assert_eq!(reading.confidence, Confidence::Low, "{said}");
                    let note = reading.note.expect("a note");
                    assert!(note.contains("counter") && note.contains("polled power"), "{said}");
                    let percent = format!("{:+.0} %", 100.0 * (1.0 / counted - 1.0));
                    if shape.starts_with("constant") {
                        assert!(note.contains(&percent), "{percent} in {note}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_counter_that_is_contradicted_from_the_meters_first_moment_is_low() {
    let reading = steady(0.57, 1.0, "constant:300").meter(0.001, 6.0, &mut Chance::new(4));
    assert_eq!(reading.confidence, Confidence::Low, "{reading:?}");
}

#[test]
fn half_a_second_is_enough_where_the_two_are_far_apart() {
    for counted in [0.3, 3.0] {
        let reading = steady(counted, 0.0, "constant:300").meter(2.5, 0.7, &mut Chance::new(5));
        assert!(contradicts(&reading), "{reading:?}");
    }
}
