//! Search among the points of a sweep: which points to try next, and when the best one is found. Pure: it maps the
//! tries so far to the next step. Leaves running points and storing the state to others.

mod bracket;
mod observation;
mod shape;

pub use observation::{figure_of, observe, over_repeats};

use std::collections::{BTreeMap, BTreeSet};

use bracket::{first_between, next_beside};
use joulemark_experiment::SweepRequest;
use joulemark_experiment::sweep::{
    Bound, FigureOverRepeats, Goal, ResponseShape, SearchAnswer, SearchEvidence, SearchMethod, SearchState, SearchTry,
};
use shape::shape;

/// Returns the initial state of a search; `None` for a sweep without a goal.
pub fn begin(sweep: &SweepRequest) -> Option<SearchAnswer> {
    let method = sweep.search_method()?;
    let all = sweep.point_count() as u32;
    let pending = match (method, sweep.numeric_axis()) {
        (SearchMethod::Bisection, Some(axis)) => {
            let last = axis.len() - 1;
            let places: BTreeSet<usize> = [0, last].into_iter().chain(first_between(0, last)).collect();
            places.into_iter().map(|place| axis[place].0).collect()
        }
        _ => (0..all).collect(),
    };
    Some(SearchAnswer {
        state: SearchState::Searching,
        method,
        best_point: None,
        pending,
        tried: Vec::new(),
        evidence: SearchEvidence {
            objective: None,
            constraints: BTreeMap::new(),
            tried_points: 0,
            of_points: all,
            conclusion: "the first points are running".to_owned(),
        },
    })
}

/// Advances a search with the tries of its pending points, all of which have ended.
pub fn advance(sweep: &SweepRequest, mut answer: SearchAnswer, observed: Vec<SearchTry>) -> SearchAnswer {
    let Some(goal) = &sweep.goal else { return answer };
    answer.tried.extend(observed);
    let space = Space::new(sweep, goal, &answer.tried);
    let untried = || {
        let tried: BTreeSet<u32> = answer.tried.iter().map(|of| of.point).collect();
        (0..answer.evidence.of_points)
            .filter(|point| !tried.contains(point))
            .collect::<Vec<_>>()
    };
    let (method, pending) = match answer.method {
        SearchMethod::Bisection if space.is_one_valley() => (SearchMethod::Bisection, space.next()),
        SearchMethod::Bisection => (SearchMethod::BisectionThenGrid, untried()),
        other => (other, untried()),
    };
    let best_point = space.best();
    let evidence = space.evidence(method, pending.is_empty(), answer.evidence.of_points);
    SearchAnswer {
        state: if pending.is_empty() {
            SearchState::Done
        } else {
            SearchState::Searching
        },
        method,
        best_point,
        pending,
        evidence,
        tried: answer.tried,
    }
}

/// Cost of a point, compared first by how far it violates the bounds, then by the objective; less is better.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Cost(f64, f64);

/// Tries of a sweep, in order of its axis where it has one.
struct Space<'a> {
    goal: &'a Goal,
    /// Each point with its try, in order of the axis; without an axis, only tried points, in order of trying.
    places: Vec<(u32, Option<&'a SearchTry>)>,
    has_axis: bool,
}

impl<'a> Space<'a> {
    /// Sorts tries along the axis.
    fn new(sweep: &SweepRequest, goal: &'a Goal, tried: &'a [SearchTry]) -> Self {
        let of_point = |point: u32| tried.iter().find(|of| of.point == point);
        let axis = sweep.numeric_axis();
        Self {
            goal,
            has_axis: axis.is_some(),
            places: match axis {
                Some(axis) => axis.into_iter().map(|(point, _)| (point, of_point(point))).collect(),
                None => tried.iter().map(|of| (of.point, Some(of))).collect(),
            },
        }
    }

    /// Returns the tries with their positions.
    fn tried(&self) -> impl Iterator<Item = (usize, &'a SearchTry)> + '_ {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(place, (_, of))| Some((place, (*of)?)))
    }

    /// Returns the cost of a try.
    fn cost(&self, of: &SearchTry) -> Cost {
        let violation = self.goal.subject_to.iter().map(|(metric, bound)| {
            let figure = of.constraints.get(metric).copied();
            figure.map_or(f64::INFINITY, |figure| beyond(bound, figure.mean))
        });
        let objective = of.objective.map_or(f64::INFINITY, |figure| {
            if self.goal.objective().1 {
                figure.mean
            } else {
                -figure.mean
            }
        });
        let violation: f64 = violation.sum();
        match of.objective {
            Some(_) => Cost(violation, objective),
            None => Cost(f64::INFINITY, objective),
        }
    }

    /// Returns the position with the least cost, and the first one of equals.
    fn least(&self) -> Option<(usize, Cost)> {
        let costs = self.tried().map(|(place, of)| (place, self.cost(of)));
        costs.reduce(|one, other| if other.1 < one.1 { other } else { one })
    }

    /// Returns the point with the least cost; `None` where it violates a bound.
    fn best(&self) -> Option<u32> {
        let (place, cost) = self.least()?;
        (cost.0 == 0.0).then(|| self.places[place].0)
    }

    /// Returns the next point to try beside the best one so far; empty once its neighbours were tried.
    fn next(&self) -> Vec<u32> {
        let Some((best, cost)) = self.least() else {
            return Vec::new();
        };
        let is_end = best == 0 || best == self.places.len() - 1;
        if cost.0 > 0.0 && is_end && self.bounds_are_monotone() {
            // Points further from this end violate the bounds even more.
            return Vec::new();
        }
        let below = self.tried().map(|(place, _)| place).filter(|place| *place < best).max();
        let above = self.tried().map(|(place, _)| place).find(|place| *place > best);
        let below = below.map_or(-1, |place| place as i64);
        let above = above.unwrap_or(self.places.len()) as i64;
        let next = next_beside(below, best as i64, above);
        next.map(|place| self.places[place].0).into_iter().collect()
    }

    /// Returns whether all tries are consistent with a single best point: the points that meet the bounds are adjacent,
    /// and the objective turns at most once among them, in the right direction.
    fn is_one_valley(&self) -> bool {
        let meets: Vec<bool> = self.tried().map(|(_, of)| of.meets).collect();
        let changes = meets.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let is_side_by_side = match (meets.first(), meets.last()) {
            (Some(true), _) | (_, Some(true)) => changes <= 1,
            _ => changes <= 2,
        };
        if !meets.contains(&true) {
            let is_known = self.tried().any(|(_, of)| of.objective.is_some());
            return is_known
                && self
                    .constraint_shapes()
                    .values()
                    .all(|shape| *shape != ResponseShape::Irregular);
        }
        is_side_by_side && self.turns_at_most_once(self.objective_shape())
    }

    /// Returns whether a shape has at most one turn, in the right direction.
    fn turns_at_most_once(&self, shape: ResponseShape) -> bool {
        let wrong = if self.goal.objective().1 {
            ResponseShape::OneMaximum
        } else {
            ResponseShape::OneMinimum
        };
        shape != ResponseShape::Irregular && shape != wrong
    }

    /// Returns whether all bounded metrics are monotone along the axis.
    fn bounds_are_monotone(&self) -> bool {
        let monotone = [ResponseShape::Rising, ResponseShape::Falling, ResponseShape::Flat];
        self.constraint_shapes().values().all(|shape| monotone.contains(shape))
    }

    /// Returns the shape of the objective over the points that meet the bounds.
    fn objective_shape(&self) -> ResponseShape {
        let meeting = self.tried().filter(|(_, of)| of.meets);
        shape(meeting.filter_map(|(_, of)| of.objective))
    }

    /// Returns the shape of each bounded metric.
    fn constraint_shapes(&self) -> BTreeMap<String, ResponseShape> {
        let of = |metric: &String| {
            let figures = self.tried().filter_map(|(_, of)| of.constraints.get(metric).copied());
            (metric.clone(), shape(figures))
        };
        self.goal.subject_to.keys().map(of).collect()
    }

    /// Returns the evidence for the state of the search.
    fn evidence(&self, method: SearchMethod, is_done: bool, of_points: u32) -> SearchEvidence {
        let objective = self.has_axis.then(|| self.objective_shape());
        let constraints = match self.has_axis {
            true => self.constraint_shapes(),
            false => BTreeMap::new(),
        };
        let tried_points = self.tried().count() as u32;
        SearchEvidence {
            conclusion: self.conclusion(method, is_done, tried_points == of_points),
            objective,
            constraints,
            tried_points,
            of_points,
        }
    }

    /// Returns the conclusion in words.
    fn conclusion(&self, method: SearchMethod, is_done: bool, is_whole: bool) -> String {
        let (metric, _) = self.goal.objective();
        let found = self.best().is_some();
        let text = match (is_done, method) {
            (false, SearchMethod::BisectionThenGrid) => {
                "the tries so far allow more than one best point, so all other points are run"
            }
            (false, _) => "a neighbour of the best point so far was not tried yet",
            (true, _) if !found && is_whole => "no point meets all bounds",
            (true, _) if !found => {
                "no point that was tried meets all bounds, and the tries show that all other points violate them even more"
            }
            (true, _) if is_whole => "every point was run, and no point that meets the bounds is better",
            (true, _) => {
                "both neighbours of the best point were run and are no better, or violate a bound; all tries are consistent \
                 with a single best point"
            }
        };
        let mut text = format!("{metric}: {text}");
        if is_done && found && self.has_axis && self.objective_shape() == ResponseShape::Flat {
            text.push_str("; no two points differ by more than their intervals, so any of them may be the best");
        }
        if self.has_no_intervals() {
            text.push_str(
                "; with one repeat per point there are no intervals, and chance may decide between neighbours",
            );
        }
        text
    }

    /// Returns whether an objective has no interval.
    fn has_no_intervals(&self) -> bool {
        let lacks = |figure: FigureOverRepeats| figure.ci_low.is_none();
        self.tried().any(|(_, of)| of.objective.is_some_and(lacks))
    }
}

/// Returns by how much a figure violates a bound, as a share of the bound; 0 where it meets the bound.
fn beyond(bound: &Bound, figure: f64) -> f64 {
    let share = |over: f64, bound: f64| match over {
        over if over < 0.0 => 0.0,
        // A figure equal to the bound violates it, by the smallest amount.
        over => (over / bound.abs().max(f64::MIN_POSITIVE)).max(f64::MIN_POSITIVE),
    };
    let above = bound.below.map_or(0.0, |below| share(figure - below, below));
    let below = bound.above.map_or(0.0, |above| share(above - figure, above));
    above + below
}

#[cfg(test)]
mod tests;
