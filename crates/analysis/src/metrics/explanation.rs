use super::all;
use super::metric::{Beside, Better, Metric};

/// Documentation of one figure of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub name: &'static str,
    /// Object of a result that contains the figure; empty for a top-level field.
    pub group: String,
    pub unit: &'static str,
    pub better: Better,
    pub headline: Option<u8>,
    pub description: String,
    pub formula: Option<String>,
    pub source: &'static str,
    pub limits: &'static str,
}

impl Explanation {
    /// Returns the figure's path in a result, such as `inference.tokens_per_second`.
    pub fn place(&self) -> String {
        match self.group.as_str() {
            "" => self.name.to_owned(),
            group => format!("{group}.{}", self.name),
        }
    }
}

/// Object of a result with the spread over cycles.
const SPREAD: &str = "cycle_sd";
const SPREAD_SOURCE: &str = "Computed from the figures of `cycles`.";
const SPREAD_LIMITS: &str = "Not an uncertainty: an error that all cycles share is not included. Null with fewer than two \
    cycles, or where the figure of a cycle is null.";

/// Returns the documentation of every figure, in the order of a result.
pub fn explanations() -> Vec<Explanation> {
    let spreads = all().iter().filter(|metric| has_spread(metric)).map(spread);
    let whole = Explanation {
        name: SPREAD,
        group: String::new(),
        unit: "",
        better: Better::Lower,
        headline: None,
        description:
            "Spread over cycles: the sample standard deviation of the figures of the same names, each in the unit of its figure."
                .to_owned(),
        formula: None,
        source: SPREAD_SOURCE,
        limits: SPREAD_LIMITS,
    };
    all().iter().map(figure).chain([whole]).chain(spreads).collect()
}

/// Returns the documentation of a figure, which is found by its name, by its path in a result, or by its column in an
/// export; `None` for another text.
pub fn explain(field: &str) -> Option<Explanation> {
    let of_export = field
        .strip_suffix(SPREAD)
        .and_then(|name| name.strip_suffix('_'))
        .map(|name| format!("{SPREAD}.{name}"));
    let wanted = of_export.as_deref().unwrap_or(field);
    explanations()
        .into_iter()
        .find(|explanation| explanation.place() == wanted || explanation.name == wanted)
}

/// Returns whether the metric has a standard deviation over cycles.
fn has_spread(metric: &Metric) -> bool {
    metric.beside.iter().any(|beside| matches!(beside, Beside::Spread))
}

/// Returns the documentation of a metric.
fn figure(metric: &Metric) -> Explanation {
    Explanation {
        name: metric.name,
        group: metric.group.path(),
        unit: metric.unit,
        better: metric.better,
        headline: metric.headline,
        description: metric.description.to_owned(),
        formula: metric.formula.map(str::to_owned),
        source: metric.source,
        limits: metric.limits,
    }
}

/// Returns the documentation of a metric's standard deviation over cycles.
fn spread(metric: &Metric) -> Explanation {
    let place = figure(metric).place();
    Explanation {
        name: metric.name,
        group: SPREAD.to_owned(),
        unit: metric.unit,
        better: Better::Lower,
        headline: None,
        description: format!("Sample standard deviation of `{place}` over cycles."),
        formula: Some("square root of (sum of squared differences from the cycles' mean / (cycles - 1))".to_owned()),
        source: SPREAD_SOURCE,
        limits: SPREAD_LIMITS,
    }
}
