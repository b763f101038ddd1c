//! Sensors and meters that misbehave: slow counters, polls that stall, counters that stop or stand still.

use super::{Case, Chance, Course, Kind, Metered, SHAPES, any_sensor};

/// What goes wrong in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing but what the kind itself is.
    None,
    /// Nothing is read for 0.3 to 2 s, within the window or across its end.
    ReadingStalls,
    /// The counter stops for good within the window.
    CounterStops,
    /// The counter stands still for a second, at the window's end at the latest, and leaps to where it should be.
    CounterLeaps,
}

/// A kind of sensor in one trouble.
#[derive(Clone, Copy, Debug)]
pub struct Troubled {
    pub kind: Kind,
    pub trouble: Trouble,
}

impl Troubled {
    pub const ALL: [Self; 10] = [
        Self::new(Kind::SlowCounter, Trouble::None),
        Self::new(Kind::GpuCounter, Trouble::ReadingStalls),
        Self::new(Kind::RaplCounter, Trouble::ReadingStalls),
        Self::new(Kind::SlowCounter, Trouble::ReadingStalls),
        Self::new(Kind::InstantPower, Trouble::ReadingStalls),
        Self::new(Kind::AveragedPower, Trouble::ReadingStalls),
        Self::new(Kind::GpuCounter, Trouble::CounterStops),
        Self::new(Kind::RaplCounter, Trouble::CounterStops),
        Self::new(Kind::GpuCounter, Trouble::CounterLeaps),
        Self::new(Kind::RaplCounter, Trouble::CounterLeaps),
    ];

    pub const fn new(kind: Kind, trouble: Trouble) -> Self {
        Self { kind, trouble }
    }

    pub fn name(self) -> String {
        let trouble = match self.trouble {
            Trouble::None => "",
            Trouble::ReadingStalls => ", readings stall",
            Trouble::CounterStops => ", stops for good",
            Trouble::CounterLeaps => ", stands still and leaps",
        };
        format!("{}{trouble}", self.kind.name())
    }

    /// Returns `count` windows of `length_sec`, over all shapes in turn.
    pub fn windows(self, length_sec: f64, count: u32, chance: &mut Chance) -> Vec<Metered> {
        let shapes = SHAPES.iter().cycle().take(count as usize);
        shapes
            .map(|shape| self.case(shape, length_sec, chance).meter(chance))
            .collect()
    }

    fn case(self, shape: &str, length_sec: f64, chance: &mut Chance) -> Case {
        let mut sensor = any_sensor(self.kind, shape, chance);
        let mut course = Course::any(length_sec, chance);
        let within_sec = chance.between(0.0, length_sec);
        match self.trouble {
            Trouble::None => {}
            Trouble::ReadingStalls => {
                course = course.with_a_stall(within_sec, chance.between(0.3, 2.0));
            }
            Trouble::CounterStops => sensor.frozen_sec = Some((course.start_sec() + within_sec, f64::INFINITY)),
            Trouble::CounterLeaps => {
                let since = course.start_sec() + within_sec;
                sensor.frozen_sec = Some((since, since + 1.0));
            }
        }
        Case { sensor, course }
    }
}

/// How well the stated intervals of some windows hold, and how wide they are.
pub struct Held {
    /// The part of windows without an energy.
    pub null: f64,
    /// The part of the others whose interval holds the truth; 1 where there is none.
    pub coverage: f64,
    pub median_half_width_j: f64,
    pub percentile_95_error_j: f64,
}

impl Held {
    pub fn of(windows: &[Metered]) -> Self {
        let known: Vec<&Metered> = windows.iter().filter(|window| !window.is_null()).collect();
        let covered = known.iter().filter(|window| window.is_covered()).count();
        let of_known = |value: &dyn Fn(&Metered) -> f64, part: usize| {
            let mut values: Vec<f64> = known.iter().map(|window| value(window)).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() * part / 100).copied().unwrap_or(0.0)
        };
        Self {
            null: 1.0 - known.len() as f64 / windows.len() as f64,
            coverage: if known.is_empty() {
                1.0
            } else {
                covered as f64 / known.len() as f64
            },
            median_half_width_j: of_known(&|window| window.reading.uncertainty_j.unwrap_or(f64::NAN), 50),
            percentile_95_error_j: of_known(&Metered::error_j, 95),
        }
    }
}
