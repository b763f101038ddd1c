//! The search of a sweep for a goal.

use super::table_page::{ROWS, TablePage};
use crate::http::pages::number;
use crate::http::pages::sweep_words::point_in_words;
use crate::http::sweeps::view::Sweep;
use joulemark_experiment::sweep::{FigureOverRepeats, Goal, SearchAnswer, SearchMethod, SearchState, SearchTry};

/// A search for a goal, as text.
pub struct GoalView {
    /// Goal of the search.
    pub asked: String,
    pub state: &'static str,
    pub method: &'static str,
    /// Best point so far, with its values and its figure, and the link to its row.
    pub best: Option<(u32, String, String)>,
    pub conclusion: String,
    /// The metric that is optimized, then the metrics with bounds.
    pub metrics: Vec<String>,
    /// The last points that were tried, in that order.
    pub tried: Vec<TryView>,
    /// Number of all points that were tried.
    pub tried_count: usize,
    pub pending: Vec<u32>,
}

/// A point that was tried.
pub struct TryView {
    pub point: u32,
    /// Link to the point's row.
    pub link: String,
    pub values: String,
    /// One figure for each metric.
    pub figures: Vec<String>,
    pub verdict: &'static str,
    pub reason: Option<String>,
}

/// Returns the progress of the search; `None` for a sweep without a goal.
pub fn goal_view(sweep: &Sweep, shown: &TablePage<'_>) -> Option<GoalView> {
    let (goal, search) = (sweep.summary.goal.as_ref()?, sweep.search.as_ref()?);
    let (objective, is_least) = goal.objective();
    let bounds: Vec<&String> = goal.subject_to.keys().collect();
    Some(GoalView {
        asked: asked(goal, objective, is_least),
        state: match search.state {
            SearchState::Searching => "The search is running.",
            SearchState::Done => "The search is complete.",
            SearchState::Cancelled => "The search was cancelled.",
        },
        method: method(search.method),
        best: best(sweep, search).map(|(point, words)| (point, words, shown.row_link(point))),
        conclusion: search.evidence.conclusion.clone(),
        metrics: std::iter::once(objective)
            .chain(bounds.iter().map(|name| name.as_str()))
            .map(str::to_owned)
            .collect(),
        tried: search.tried[search.tried.len().saturating_sub(ROWS)..]
            .iter()
            .map(|tried| tried_view((sweep, shown), tried, &bounds))
            .collect(),
        tried_count: search.tried.len(),
        pending: search.pending.clone(),
    })
}

fn asked(goal: &Goal, objective: &str, is_least: bool) -> String {
    let direction = if is_least { "minimum" } else { "maximum" };
    let mut text = format!("{direction} {objective}");
    for (place, (metric, bound)) in goal.subject_to.iter().enumerate() {
        let within = match (bound.above, bound.below) {
            (Some(above), Some(below)) => format!("between {above} and {below}"),
            (Some(above), None) => format!("above {above}"),
            (None, Some(below)) => format!("below {below}"),
            (None, None) => continue,
        };
        let joint = if place == 0 { " with" } else { " and" };
        text.push_str(&format!("{joint} {metric} {within}"));
    }
    text
}

fn method(method: SearchMethod) -> &'static str {
    match method {
        SearchMethod::Grid => "It runs all points.",
        SearchMethod::Bisection => "It runs only the points that it needs to find the best along the axis.",
        SearchMethod::BisectionThenGrid => {
            "The results contradict a single best point along the axis, so it runs all points."
        }
    }
}

fn best(sweep: &Sweep, search: &SearchAnswer) -> Option<(u32, String)> {
    let point = search.best_point?;
    let row = sweep.table.iter().find(|row| row.point == point)?;
    let tried = search.tried.iter().find(|tried| tried.point == point)?;
    let figure = tried.objective.as_ref().map(figure);
    Some((
        point,
        format!(
            "{} ({})",
            point_in_words(&row.values),
            figure.unwrap_or_else(|| number::UNKNOWN.to_owned())
        ),
    ))
}

fn tried_view((sweep, shown): (&Sweep, &TablePage<'_>), tried: &SearchTry, bounds: &[&String]) -> TryView {
    let row = sweep.table.iter().find(|row| row.point == tried.point);
    let of = |known: Option<&FigureOverRepeats>| known.map_or_else(|| number::UNKNOWN.to_owned(), figure);
    let bounded = bounds.iter().map(|name| of(tried.constraints.get(*name)));
    TryView {
        point: tried.point,
        link: shown.row_link(tried.point),
        values: row.map(|row| point_in_words(&row.values)).unwrap_or_default(),
        figures: std::iter::once(of(tried.objective.as_ref())).chain(bounded).collect(),
        verdict: match (bounds.is_empty(), tried.meets, tried.uncertain) {
            (true, ..) => "no bounds",
            (false, true, false) => "within the bounds",
            (false, true, true) => "within the bounds, but not with certainty",
            (false, false, false) => "outside a bound",
            (false, false, true) => "outside a bound, but not with certainty",
        },
        reason: tried.reason.clone(),
    }
}

fn figure(figure: &FigureOverRepeats) -> String {
    number::with_interval(figure.mean, figure.ci_low.zip(figure.ci_high))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_goal_is_shown_with_all_its_bounds() {
        let goal: Goal = serde_json::from_value(json!({"minimise": "joules_per_output_token",
            "subject_to": {"p99_itl_ms": {"below": 500}, "output_throughput": {"above": 10, "below": 90}}}))
        .unwrap();
        let (objective, is_least) = goal.objective();
        assert_eq!(
            asked(&goal, objective, is_least),
            "minimum joules_per_output_token with output_throughput between 10 and 90 and p99_itl_ms below 500"
        );
    }
}
