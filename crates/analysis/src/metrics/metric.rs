use std::borrow::Cow;

use super::figures::Figures;
use crate::certainty::EnergyPart;
use joulemark_experiment::Spec;

/// One figure of a result. Its name holds its unit where that is a word of `_j`, `_w`, `_sec`, `_ms`.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub group: Group,
    /// As a table shows it behind the figure; empty for a share, a ratio of like to like, or a word.
    pub unit: &'static str,
    pub better: Better,
    /// Position among the few figures that a reader looks at first; `None` for all others.
    pub headline: Option<u8>,
    /// One line with the unit, for the column of an export.
    pub about: &'static str,
    /// The whole of what it says, for the API's description.
    pub description: &'static str,
    /// How it follows from other metrics of the table, each of them in backticks, the divisor last; `None` where it is
    /// measured or counted.
    pub formula: Option<&'static str>,
    /// Where it comes from.
    pub source: &'static str,
    /// What it does not say, and when it is not to be trusted.
    pub limits: &'static str,
    pub read: Read,
    /// What an export shows behind it.
    pub beside: &'static [Beside],
    /// Returns the reason of a null; `None` for a figure that is not warned of: what it belongs to is, or only some engines
    /// have it.
    pub why_null: Option<fn(&Known<'_>) -> Cow<'static, str>>,
}

/// What the reason of a null is told from.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The metric that is null.
    pub metric: &'a Metric,
    /// The table that has the parts of its formula.
    pub metrics: &'a [Metric],
    pub spec: &'a Spec,
    pub figures: Figures<'a>,
}

/// The object of a result in which a metric stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Inference,
    Energy(EnergyOf),
    Compute,
    Roofline,
    Efficiency,
}

impl Group {
    /// Returns the object's name as a result's `fields` take it: `compute.roofline`.
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

/// What an energy metric is of; exports put those of one device beside each other, in this order.
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
    pub const ALL: [Self; 6] = [
        Self::Window,
        Self::Total,
        Self::Gpus,
        Self::Cpus,
        Self::Memory,
        Self::Host,
    ];
}

/// Which of two values of a metric is the better one, all else being equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// It says what was done, or by what, and not how well.
    Neither,
}

impl Better {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::Neither => "neither",
        }
    }
}

/// How a metric is read from the figures of a result or of a cycle; `None` is an unknown value.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    Count(fn(Figures<'_>) -> Option<u64>),
    Number(fn(Figures<'_>) -> Option<f64>),
    Text(for<'a> fn(Figures<'a>) -> Option<Cow<'a, str>>),
    /// An object with figures of its own; returns whether it is there.
    Object(fn(Figures<'_>) -> bool),
}

/// What an export shows behind a metric.
#[derive(Clone, Copy, Debug)]
pub enum Beside {
    /// The sample standard deviation over cycles.
    Spread,
    /// The sources, methods and confidence of a part of the energy.
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

    /// Tells whether its spread over cycles stands behind it.
    pub fn has_spread(&self) -> bool {
        self.beside.iter().any(|beside| matches!(beside, Beside::Spread))
    }

    /// Returns the metrics that the formula names, each once, in the order in which they first stand there.
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
