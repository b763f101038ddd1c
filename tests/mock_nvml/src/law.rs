//! The dependence of a GPU's power and speed on its power limit: the truth to compare a curve over limits with. No I/O;
//! tests that use the mock compile this same file.

/// A GPU that draws `static_w` plus `dynamic_w`·f³ at a share f of its highest clock. Its speed is proportional to f,
/// up to the share at which memory, whose speed does not depend on the clock, becomes the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    pub static_w: f64,
    pub dynamic_w: f64,
    /// Share of the highest clock above which memory is the limit.
    pub memory_share: f64,
}

impl Law {
    /// Parses `static:dynamic:memory`, such as `80:320:0.7`.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<f64> = text
            .split(':')
            .map(|number| number.trim().parse().ok())
            .collect::<Option<_>>()?;
        match numbers[..] {
            [static_w, dynamic_w, memory_share] => Some(Self {
                static_w,
                dynamic_w,
                memory_share,
            }),
            _ => None,
        }
    }

    /// Returns the share of the highest clock that is possible under a limit.
    pub fn clock_share(&self, limit_w: f64) -> f64 {
        ((limit_w - self.static_w).max(0.0) / self.dynamic_w).cbrt().min(1.0)
    }

    /// Returns the power under a limit at full load, in watts.
    pub fn power_w(&self, limit_w: f64) -> f64 {
        self.static_w + self.dynamic_w * self.clock_share(limit_w).powi(3)
    }

    /// Returns the speed under a limit, as a share of what memory allows.
    pub fn speed(&self, limit_w: f64) -> f64 {
        (self.clock_share(limit_w) / self.memory_share).min(1.0)
    }

    /// Returns the joules from time 0 to `at_sec` under limits, each with the time from which it applies.
    pub fn energy_j(&self, limits_w: &[(f64, f64)], at_sec: f64) -> f64 {
        let ends = limits_w.iter().skip(1).map(|(begin_sec, _)| *begin_sec).chain([at_sec]);
        let part = |((begin_sec, limit_w), end_sec): (&(f64, f64), f64)| {
            self.power_w(*limit_w) * (end_sec.min(at_sec) - begin_sec).max(0.0)
        };
        limits_w.iter().zip(ends).map(part).sum()
    }
}
