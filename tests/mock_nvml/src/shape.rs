//! Power as a function of time with its exact integral: the truth to compare meters with. No I/O; the tests that use
//! the mock compile this same file, so that there is only one truth.

use std::f64::consts::TAU;

/// Power as a function of time.
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
    /// From `low_w` up to `high_w` in each period, then abruptly down again.
    Ramp {
        low_w: f64,
        high_w: f64,
        period_sec: f64,
    },
    /// `high_w` in the first `length_sec` of each period, else `low_w`. A short burst is shorter than a sampling
    /// interval.
    Burst {
        low_w: f64,
        high_w: f64,
        period_sec: f64,
        length_sec: f64,
    },
}

impl Shape {
    /// Parses `constant:200`, `step:100:300:2` (low, high, period; `square` is the same), `sine:200:50:3` (mean,
    /// amplitude, period), `ramp:100:300:2` (low, high, period) or `burst:100:400:0.5:0.02` (low, high, period,
    /// length); returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, numbers) = text.trim().split_once(':')?;
        let numbers: Vec<f64> = numbers
            .split(':')
            .map(|number| number.trim().parse().ok())
            .collect::<Option<_>>()?;
        match (name, numbers.as_slice()) {
            ("constant", &[watts]) => Some(Self::Constant { watts }),
            ("ramp", &[low_w, high_w, period_sec]) => Some(Self::Ramp {
                low_w,
                high_w,
                period_sec,
            }),
            ("burst", &[low_w, high_w, period_sec, length_sec]) => Some(Self::Burst {
                low_w,
                high_w,
                period_sec,
                length_sec,
            }),
            ("step" | "square", &[low_w, high_w, period_sec]) => Some(Self::Step {
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

    /// Returns the power at a time, in watts.
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
            Self::Ramp {
                low_w,
                high_w,
                period_sec,
            } => low_w + (high_w - low_w) * at_sec.rem_euclid(period_sec) / period_sec,
            Self::Burst {
                low_w,
                high_w,
                period_sec,
                length_sec,
            } => {
                if at_sec.rem_euclid(period_sec) < length_sec {
                    high_w
                } else {
                    low_w
                }
            }
        }
    }

    /// Returns the joules from time 0 to `at_sec`.
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
            Self::Ramp {
                low_w,
                high_w,
                period_sec,
            } => {
                let periods = (at_sec / period_sec).floor();
                let rest = at_sec - periods * period_sec;
                let whole = period_sec * (low_w + high_w) / 2.0;
                periods * whole + low_w * rest + (high_w - low_w) * rest * rest / (2.0 * period_sec)
            }
            Self::Burst {
                low_w,
                high_w,
                period_sec,
                length_sec,
            } => {
                let periods = (at_sec / period_sec).floor();
                let rest = at_sec - periods * period_sec;
                low_w * at_sec + (high_w - low_w) * (periods * length_sec + rest.min(length_sec))
            }
        }
    }
}
