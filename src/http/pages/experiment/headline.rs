//! The section of headline figures.

use askama::Template;

use super::figure::Figure;
use joulemark_analysis::metrics::{Metric, all};
use joulemark_experiment::report::Report;

/// Suffix of the metrics that are half-widths of energies; they are shown behind the energies.
const HALF_WIDTH: &str = "_uncertainty_j";

/// Headline figures, then all others.
#[derive(Template)]
#[template(path = "experiment/headline.html")]
pub struct Headline {
    /// URL of the definitions of metrics, up to the name.
    figures: String,
    first: Vec<Figure>,
    others: Vec<Figure>,
    partial: bool,
    /// Why there is no steady state; `None` when there is one.
    no_steady_state: Option<String>,
    facts: Vec<(&'static str, String)>,
}

impl Headline {
    /// Creates the section from a result.
    pub fn new(report: &Report, partial: bool, figures: &str) -> Self {
        let mut first: Vec<&'static Metric> = all().iter().filter(|metric| metric.headline.is_some()).collect();
        first.sort_by_key(|metric| metric.headline);
        let is_other = |metric: &&Metric| metric.headline.is_none() && !metric.name.ends_with(HALF_WIDTH);
        let steady = report.steady_state.as_deref();
        Self {
            figures: figures.to_owned(),
            first: first.into_iter().map(|metric| Figure::of(metric, report)).collect(),
            others: all()
                .iter()
                .filter(is_other)
                .map(|metric| Figure::of(metric, report))
                .collect(),
            partial,
            no_steady_state: steady.and_then(|steady| steady.why_none.clone()),
            facts: super::footprint::facts(report),
        }
    }
}
