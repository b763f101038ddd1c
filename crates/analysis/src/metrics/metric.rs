use std::borrow::Cow;

use super::figures::Figures;
use crate::certainty::EnergyPart;
use joulemark_experiment::Spec;

/// A figure of a result. Its name ends with its unit where that is `_j`, `_w`, `_sec`, `_ms` or `_bytes`.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub group: Group,
    /// Unit as tables show it; empty for a share, a ratio of equal units, or a word.
    pub unit: &'static str,
    pub better: Better,
    /// Position among the headline figures; `None` for other figures.
    pub headline: Option<u8>,
    /// One-line description with the unit, for the column of an export.
    pub about: &'static str,
    /// Full description, for the API.
    pub description: &'static str,
    /// Formula over other metrics of the table, each in backticks, the divisor last; `None` where the figure is
    /// measured or counted.
    pub formula: Option<&'static str>,
    /// Origin of the figure.
    pub source: &'static str,
    /// Limits of the figure: what it does not include, and when it is not reliable.
    pub limits: &'static str,
    pub read: Read,
    /// Additional columns that an export shows after it.
    pub beside: &'static [Beside],
    /// Function that returns the reason for a null; `None` for a figure whose null has no warning of its own, because
    /// the object that contains it has one, or only some engines report it.
    pub why_null: Option<fn(&Known<'_>) -> Cow<'static, str>>,
}

/// Context of a null metric, from which its reason is derived.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The metric that is null.
    pub metric: &'a Metric,
    /// Table with the metrics of its formula.
    pub metrics: &'a [Metric],
    pub spec: &'a Spec,
    pub figures: Figures<'a>,
}

/// Object of a result that contains a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Inference,
    Energy(EnergyOf),
    Compute,
    Roofline,
    Efficiency,
}

impl Group {
    /// Returns the object's path as `fields` of a result takes it, such as `compute.roofline`.
    pub fn path(self) -> String {
        self.pointer().trim_start_matches('/').replace('/', ".")
    }

    /// Returns the JSON pointer to the object.
    pub fn pointer(self) -> &'static str {
        match self {
            Self::Inference => "/inference",
            Self::Energy(_) => "/energy",
            Self::Compute => "/compute",
            Self::Roofline => "/compute/roofline",
            Self::Efficiency => "/efficiency",
        }
    }
}

/// Device or extent that an energy metric covers. Exports group energy columns by it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnergyOf {
    Window,
    Total,
    Gpus,
    Cpus,
    Memory,
    Host,
}

impl EnergyOf {
    /// All values, in order.
    pub const ALL: [Self; 6] = [
        Self::Window,
        Self::Total,
        Self::Gpus,
        Self::Cpus,
        Self::Memory,
        Self::Host,
    ];
}

/// Direction in which a metric improves, all else being equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// The metric is no measure of quality.
    Neither,
}

impl Better {
    /// Returns the direction's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::Neither => "neither",
        }
    }
}

/// Function that reads a metric from the figures of a result or of a cycle; `None` is an unknown value.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    Count(fn(Figures<'_>) -> Option<u64>),
    Number(fn(Figures<'_>) -> Option<f64>),
    Text(for<'a> fn(Figures<'a>) -> Option<Cow<'a, str>>),
    /// An object with figures of its own; returns whether it is present.
    Object(fn(Figures<'_>) -> bool),
}

/// Additional columns that an export shows after a metric.
#[derive(Clone, Copy, Debug)]
pub enum Beside {
    /// The sample standard deviation over cycles.
    Spread,
    /// The interval of the mean over cycles and the half-width of the energy meter, combined.
    Combined,
    /// Sources, methods and confidence of a part of the energy.
    Certainty(EnergyPart),
}

impl Metric {
    /// Returns whether the figures hold a value.
    pub fn is_known(&self, figures: Figures<'_>) -> bool {
        match self.read {
            Read::Count(read) => read(figures).is_some(),
            Read::Number(read) => read(figures).is_some(),
            Read::Text(read) => read(figures).is_some(),
            Read::Object(is_there) => is_there(figures),
        }
    }

    /// Returns whether a column with its spread over cycles follows it.
    pub fn has_spread(&self) -> bool {
        self.beside.iter().any(|beside| matches!(beside, Beside::Spread))
    }

    /// Returns the metrics in the formula, each once, in order of first occurrence.
    pub fn parts(&self) -> Vec<&'static str> {
        let mut parts = Vec::new();
        for name in self.formula.unwrap_or_default().split('`').skip(1).step_by(2) {
            if !parts.contains(&name) {
                parts.push(name);
            }
        }
        parts
    }
}
