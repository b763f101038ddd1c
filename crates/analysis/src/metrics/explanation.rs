use super::all;
use super::metric::{Beside, Better, Metric};

/// What is said of one figure of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub name: &'static str,
    /// The object of a result that it stands in; empty for what stands in none.
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
    /// Returns the figure's place in a result: `inference.tokens_per_second`.
    pub fn place(&self) -> String {
        match self.group.as_str() {
            "" => self.name.to_owned(),
            group => format!("{group}.{}", self.name),
        }
    }
}

/// The object of a result that has the spread over cycles.
const SPREAD: &str = "cycle_sd";
const SPREAD_SOURCE: &str = "Computed from the figures of `cycles`.";
const SPREAD_LIMITS: &str = "Not an uncertainty: what all cycles have wrong alike is not in it. Null below two cycles, and \
    where one cycle's figure is null.";

/// Returns what is said of every figure, in the order of a result.
pub fn explanations() -> Vec<Explanation> {
    let spreads = all().iter().filter(|metric| has_spread(metric)).map(spread);
    let whole = Explanation {
        name: SPREAD,
        group: String::new(),
        unit: "",
        better: Better::Lower,
        headline: None,
        description:
            "How far the cycles lie apart: the sample standard deviation over cycles of the figures of the same \
            names, each in its own unit."
                .to_owned(),
        formula: None,
        source: SPREAD_SOURCE,
        limits: SPREAD_LIMITS,
    };
    all().iter().map(figure).chain([whole]).chain(spreads).collect()
}

/// Returns what is said of a figure by its name, by its place in a result, and by its column in an export.
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

fn has_spread(metric: &Metric) -> bool {
    metric.beside.iter().any(|beside| matches!(beside, Beside::Spread))
}

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

fn spread(metric: &Metric) -> Explanation {
    let place = figure(metric).place();
    Explanation {
        name: metric.name,
        group: SPREAD.to_owned(),
        unit: metric.unit,
        better: Better::Lower,
        headline: None,
        description: format!(
            "Sample standard deviation over cycles of `{place}`: how far one cycle's lies from the next."
        ),
        formula: Some("square root of (sum of squared differences from the cycles' mean / (cycles - 1))".to_owned()),
        source: SPREAD_SOURCE,
        limits: SPREAD_LIMITS,
    }
}
