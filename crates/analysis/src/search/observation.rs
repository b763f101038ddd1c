use std::collections::BTreeMap;

use joulemark_experiment::report::Report;
use joulemark_experiment::sweep::{Bound, FigureOverRepeats, Goal, SearchTry};

use crate::intervals::mean_interval;
use crate::metrics::{Metric, all, find};
use crate::repetition::number;
use crate::statistics::mean;

/// Returns a metric of a whole result; `None` where it is unknown or is not a number.
pub fn figure_of(metric: &Metric, report: &Report) -> Option<f64> {
    number(metric, report.into())
}

/// Returns the mean of a point's repeats with its interval; `None` without a repeat.
pub fn over_repeats(figures: &[f64]) -> Option<FigureOverRepeats> {
    let interval = mean_interval(figures);
    Some(FigureOverRepeats {
        n: figures.len() as u32,
        mean: mean(figures)?,
        ci_low: interval.map(|(low, _)| low),
        ci_high: interval.map(|(_, high)| high),
    })
}

/// Returns the try of a point: its objective and constraints over the completed repeats, and why it does not meet the
/// goal. `not_completed` is the number of other repeats.
pub fn observe(goal: &Goal, point: u32, reports: &[Report], not_completed: u32) -> SearchTry {
    let over = |name: &str| {
        let metric = find(all(), name)?;
        let figures: Vec<f64> = reports.iter().filter_map(|report| figure_of(metric, report)).collect();
        over_repeats(&figures)
    };
    let objective = over(goal.objective().0);
    let mut constraints = BTreeMap::new();
    let (mut reasons, mut uncertain) = (Vec::new(), false);
    for (name, bound) in &goal.subject_to {
        let figure = over(name);
        match figure {
            Some(figure) => {
                reasons.extend(broken(name, bound, figure.mean));
                uncertain |= holds(bound, &figure);
            }
            None => reasons.push(format!("{name} is null in every repeat")),
        }
        constraints.extend(figure.map(|figure| (name.clone(), figure)));
    }
    if objective.is_none() {
        let why = match reports.is_empty() {
            true => "no repeat was completed".to_owned(),
            false => format!("{} is null in every repeat", goal.objective().0),
        };
        reasons.insert(0, why);
    }
    let meets = reasons.is_empty();
    if not_completed > 0 && !reports.is_empty() {
        reasons.push(format!("{not_completed} repeats were not completed"));
    }
    SearchTry {
        point,
        objective,
        constraints,
        meets,
        uncertain,
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

/// Returns how a figure violates a bound; `None` where it meets the bound.
fn broken(name: &str, bound: &Bound, figure: f64) -> Option<String> {
    if let Some(below) = bound.below.filter(|below| figure >= *below) {
        return Some(format!("{name} is {figure:.6}, not below {below}"));
    }
    let above = bound.above.filter(|above| figure <= *above)?;
    Some(format!("{name} is {figure:.6}, not above {above}"))
}

/// Returns whether a bound lies within the interval of a figure.
fn holds(bound: &Bound, figure: &FigureOverRepeats) -> bool {
    let (Some(low), Some(high)) = (figure.ci_low, figure.ci_high) else {
        return false;
    };
    let mut bounds = [bound.below, bound.above].into_iter().flatten();
    bounds.any(|bound| low <= bound && bound <= high)
}
