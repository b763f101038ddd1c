//! Sensors and meters with faults: slow counters, stalled reads, counters that stop or pause.

use super::{Case, Chance, Course, Kind, Metered, SHAPES, any_sensor};

/// A fault in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// None beyond the properties of the kind.
    None,
    /// Nothing is read for 0.3 to 2 s, within the window or across its end.
    ReadingStalls,
    /// The counter stops permanently within the window.
    CounterStops,
    /// The counter pauses for a second, beginning within the window, and then jumps to the correct value.
    CounterLeaps,
}

/// A kind of sensor with a fault.
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

    /// Creates a combination.
    pub const fn new(kind: Kind, trouble: Trouble) -> Self {
        Self { kind, trouble }
    }

    /// Returns the name of the combination in tables.
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

/// Coverage and width of the stated intervals of some windows.
pub struct Held {
    /// Share of the windows whose energy is unknown.
    pub null: f64,
    /// Share of the other windows whose interval contains the true energy; 1 where there are none.
    pub coverage: f64,
    pub median_half_width_j: f64,
    pub percentile_95_error_j: f64,
}

impl Held {
    /// Returns how well the intervals of some windows hold.
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
