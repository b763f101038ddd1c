use crate::http::pages::number;
use crate::http::pages::sweep_words::point_in_words;
use crate::http::sweeps::view::Sweep;
use joulemark_experiment::sweep::{FigureOverRepeats, Goal, SearchAnswer, SearchMethod, SearchState, SearchTry};

/// A search for a goal, in words.
pub struct GoalView {
    /// What is looked for.
    pub asked: String,
    pub state: &'static str,
    pub method: &'static str,
    /// The best point so far with its figure.
    pub best: Option<(u32, String)>,
    pub conclusion: String,
    /// The metric that decides, then each metric with a bound.
    pub metrics: Vec<String>,
    /// In the order in which they were tried.
    pub tried: Vec<TryView>,
    pub pending: Vec<u32>,
}

/// A point that was tried.
pub struct TryView {
    pub point: u32,
    pub values: String,
    /// One a metric.
    pub figures: Vec<String>,
    pub verdict: &'static str,
    pub reason: Option<String>,
}

/// Returns how the search of a sweep goes; `None` without a goal.
pub fn goal_view(sweep: &Sweep) -> Option<GoalView> {
    let (goal, search) = (sweep.summary.goal.as_ref()?, sweep.search.as_ref()?);
    let (objective, is_least) = goal.objective();
    let bounds: Vec<&String> = goal.subject_to.keys().collect();
    Some(GoalView {
        asked: asked(goal, objective, is_least),
        state: match search.state {
            SearchState::Searching => "It is still searching.",
            SearchState::Done => "The search is done.",
            SearchState::Cancelled => "The search was cancelled.",
        },
        method: method(search.method),
        best: best(sweep, search),
        conclusion: search.evidence.conclusion.clone(),
        metrics: std::iter::once(objective)
            .chain(bounds.iter().map(|name| name.as_str()))
            .map(str::to_owned)
            .collect(),
        tried: search.tried.iter().map(|tried| shown(sweep, tried, &bounds)).collect(),
        pending: search.pending.clone(),
    })
}

fn asked(goal: &Goal, objective: &str, is_least: bool) -> String {
    let direction = if is_least { "the least" } else { "the most" };
    let mut said = format!("{direction} {objective}");
    for (place, (metric, bound)) in goal.subject_to.iter().enumerate() {
        let within = match (bound.above, bound.below) {
            (Some(above), Some(below)) => format!("between {above} and {below}"),
            (Some(above), None) => format!("above {above}"),
            (None, Some(below)) => format!("below {below}"),
            (None, None) => continue,
        };
        let joint = if place == 0 { " with" } else { " and" };
        said.push_str(&format!("{joint} {metric} {within}"));
    }
    said
}

fn method(method: SearchMethod) -> &'static str {
    match method {
        SearchMethod::Grid => "All points are run.",
        SearchMethod::Bisection => "Along the axis only those points are run that the search needs.",
        SearchMethod::BisectionThenGrid => {
            "What was tried spoke against there being one best along the axis, so that all points are run."
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

fn shown(sweep: &Sweep, tried: &SearchTry, bounds: &[&String]) -> TryView {
    let row = sweep.table.iter().find(|row| row.point == tried.point);
    let of = |known: Option<&FigureOverRepeats>| known.map_or_else(|| number::UNKNOWN.to_owned(), figure);
    let bounded = bounds.iter().map(|name| of(tried.constraints.get(*name)));
    TryView {
        point: tried.point,
        values: row.map(|row| point_in_words(&row.values)).unwrap_or_default(),
        figures: std::iter::once(of(tried.objective.as_ref())).chain(bounded).collect(),
        verdict: match (bounds.is_empty(), tried.meets, tried.uncertain) {
            (true, ..) => "no bounds",
            (false, true, false) => "keeps the bounds",
            (false, true, true) => "keeps the bounds, but another run might not",
            (false, false, false) => "breaks a bound",
            (false, false, true) => "breaks a bound, but another run might not",
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
    fn a_goal_is_told_with_all_its_bounds() {
        let goal: Goal = serde_json::from_value(json!({"minimise": "joules_per_output_token",
            "subject_to": {"p99_itl_ms": {"below": 500}, "output_throughput": {"above": 10, "below": 90}}}))
        .unwrap();
        let (objective, is_least) = goal.objective();
        assert_eq!(
            asked(&goal, objective, is_least),
            "the least joules_per_output_token with output_throughput between 10 and 90 and p99_itl_ms below 500"
        );
    }
}
