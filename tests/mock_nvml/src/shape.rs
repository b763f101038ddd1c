//! Power as a function of time with its exact integral: the truth that meters are held against. Pure; the tests that
//! use the mock compile this same file, so that there is one truth.

use std::f64::consts::TAU;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Constant {
        watts: f64,
    },
    /// `high_w` in the first half of each period, `low_w` in the second; periods begin at time 0.
    Step {
        low_w: f64,
        high_w: f64,
        period_sec: f64,
    },
    Sine {
        mean_w: f64,
        amplitude_w: f64,
        period_sec: f64,
    },
}

impl Shape {
    /// `constant:200`, `step:100:300:2` (low, high, period) or `sine:200:50:3` (mean, amplitude, period).
    pub fn parse(text: &str) -> Option<Self> {
        let (name, numbers) = text.trim().split_once(':')?;
        let numbers: Vec<f64> = numbers
            .split(':')
            .map(|number| number.trim().parse().ok())
            .collect::<Option<_>>()?;
        match (name, numbers.as_slice()) {
            ("constant", &[watts]) => Some(Self::Constant { watts }),
            ("step", &[low_w, high_w, period_sec]) => Some(Self::Step {
                low_w,
                high_w,
                period_sec,
            }),
            ("sine", &[mean_w, amplitude_w, period_sec]) => Some(Self::Sine {
                mean_w,
                amplitude_w,
                period_sec,
            }),
            _ => None,
        }
    }

    pub fn power_w(&self, at_sec: f64) -> f64 {
        match *self {
            Self::Constant { watts } => watts,
            Self::Step {
                low_w,
                high_w,
                period_sec,
            } => {
                if at_sec.rem_euclid(period_sec) < period_sec / 2.0 {
                    high_w
                } else {
                    low_w
                }
            }
            Self::Sine {
                mean_w,
                amplitude_w,
                period_sec,
            } => mean_w + amplitude_w * (TAU * at_sec / period_sec).sin(),
        }
    }

    /// Joules from time 0 to `at_sec`.
    pub fn energy_j(&self, at_sec: f64) -> f64 {
        match *self {
            Self::Constant { watts } => watts * at_sec,
            Self::Step {
                low_w,
                high_w,
                period_sec,
            } => {
                let periods = (at_sec / period_sec).floor();
                let rest = at_sec - periods * period_sec;
                let half = period_sec / 2.0;
                periods * half * (low_w + high_w) + high_w * rest.min(half) + low_w * (rest - half).max(0.0)
            }
            Self::Sine {
                mean_w,
                amplitude_w,
                period_sec,
            } => {
                let phase = TAU * at_sec / period_sec;
                mean_w * at_sec + amplitude_w * period_sec / TAU * (1.0 - phase.cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_agrees_with_a_fine_sum() {
        for text in ["constant:200", "step:100:300:0.7", "sine:200:150:1.3"] {
            let shape = Shape::parse(text).expect("a shape");
            let (start, end, steps) = (0.3, 5.1, 480_000);
            let dt = (end - start) / f64::from(steps);
            let sum: f64 = (0..steps)
                .map(|i| shape.power_w(start + (f64::from(i) + 0.5) * dt) * dt)
                .sum();
            let exact = shape.energy_j(end) - shape.energy_j(start);
            assert!((sum - exact).abs() < 0.01, "{text}: {sum} {exact}");
        }
    }

    #[test]
    fn a_shape_with_a_number_missing_is_refused() {
        assert_eq!(Shape::parse("step:100:300"), None);
        assert_eq!(Shape::parse("burst"), None);
    }
}
