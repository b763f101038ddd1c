use askama::Template;

use super::figure::Figure;
use joulemark_analysis::metrics::{Metric, all};
use joulemark_experiment::report::Report;

/// What an energy's half-width stands in a result as; it is shown behind the energy.
const HALF_WIDTH: &str = "_uncertainty_j";

/// The figures to look at first, then all others.
#[derive(Template)]
#[template(path = "experiment/headline.html")]
pub struct Headline {
    /// The way to what each figure is, but for its name.
    figures: String,
    first: Vec<Figure>,
    others: Vec<Figure>,
    partial: bool,
    /// Why there is no steady state; `None` where there is one.
    no_steady_state: Option<String>,
    facts: Vec<(&'static str, String)>,
}

impl Headline {
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
