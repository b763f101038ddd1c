use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha12Rng;
use serde_json::json;

use super::*;
use crate::fixtures::board::{joules, limits_w, noise, ttft_ms};

fn sweep(points: usize, goal: &serde_json::Value) -> SweepRequest {
    let values: Vec<usize> = (0..points).map(|place| 1 << place.min(20)).collect();
    let values: Vec<usize> = values.iter().enumerate().map(|(place, value)| value + place).collect();
    SweepRequest::read(&json!({"base": {}, "axes": {"batch_size": values}, "goal": goal})).expect("a sweep")
}

fn figure(mean: f64, half: Option<f64>) -> FigureOverRepeats {
    FigureOverRepeats {
        n: 2,
        mean,
        ci_low: half.map(|half| mean - half),
        ci_high: half.map(|half| mean + half),
    }
}

/// Runs a search to its end on a response, and returns its answer.
fn search(sweep: &SweepRequest, response: impl Fn(u32) -> (f64, f64), half: Option<f64>) -> SearchAnswer {
    tried_out(sweep, |point| {
        let (objective, constraint) = response(point);
        (figure(objective, half), figure(constraint, half))
    })
}

/// Runs a search to its end on figures of the metric that decides and of whatever is bound, and returns its answer.
fn tried_out(
    sweep: &SweepRequest,
    mut figures: impl FnMut(u32) -> (FigureOverRepeats, FigureOverRepeats),
) -> SearchAnswer {
    let goal = sweep.goal.as_ref().expect("a goal");
    let mut answer = begin(sweep).expect("a goal");
    for _ in 0..1000 {
        if answer.state != SearchState::Searching {
            return answer;
        }
        let tries = answer.pending.iter().map(|point| {
            let (objective, constraint) = figures(*point);
            SearchTry {
                point: *point,
                objective: Some(objective),
                constraints: goal.subject_to.keys().map(|name| (name.clone(), constraint)).collect(),
                meets: goal
                    .subject_to
                    .values()
                    .all(|bound| beyond(bound, constraint.mean) == 0.0),
                uncertain: false,
                reason: None,
            }
        });
        let tries = tries.collect();
        answer = advance(sweep, answer, tries);
    }
    panic!("it does not end: {answer:#?}");
}

/// Returns the best by running everything.
fn by_grid(points: u32, response: impl Fn(u32) -> (f64, f64), below: Option<f64>) -> Option<u32> {
    let meets = |point: &u32| below.is_none_or(|below| response(*point).1 < below);
    (0..points)
        .filter(meets)
        .min_by(|one, other| response(*one).0.total_cmp(&response(*other).0))
}

#[test]
fn a_bound_that_rises_is_found_by_halving() {
    let goal = json!({"minimise": "joules_per_output_token", "subject_to": {"p99_ttft_ms": {"below": 500}}});
    let sweep = sweep(20, &goal);
    // Energy falls with the number of requests in flight, and latency rises.
    let response = |point: u32| (100.0 / f64::from(point + 1), 45.0 * f64::from(point + 1));
    let answer = search(&sweep, response, Some(0.01));
    assert_eq!(answer.best_point, by_grid(20, response, Some(500.0)));
    assert_eq!(answer.best_point, Some(10));
    assert_eq!(answer.method, SearchMethod::Bisection);
    assert!(answer.tried.len() <= 8, "{answer:#?}");
    assert_eq!(answer.evidence.objective, Some(ResponseShape::Falling));
    assert_eq!(answer.evidence.constraints["p99_ttft_ms"], ResponseShape::Rising);
}

#[test]
fn the_best_of_twenty_values_is_found_in_eight_runs_wherever_it_is() {
    let goal = json!({"maximise": "output_throughput", "subject_to": {"p99_ttft_ms": {"below": 500}}});
    let sweep = sweep(20, &goal);
    for best in 0..20_u32 {
        // The objective peaks at the best point, or the bound excludes all points beyond it.
        let peak = |point: u32| (-f64::from(point.abs_diff(best)), 1.0);
        let cut = |point: u32| {
            (
                f64::from(point),
                if point > best { 500.0 + f64::from(point) } else { 10.0 },
            )
        };
        for answer in [search(&sweep, peak, None), search(&sweep, cut, None)] {
            assert_eq!(answer.best_point, Some(best), "{answer:#?}");
            assert!(answer.tried.len() <= 8, "{best}: {answer:#?}");
        }
    }
}

#[test]
fn of_twenty_power_limits_the_one_of_fewest_joules_under_a_bound_is_found_in_eight_runs_whatever_the_noise() {
    let limits_w: Vec<f64> = limits_w().collect();
    let best_under = |bound_ms: f64| {
        let keeps = limits_w.iter().filter(|limit_w| ttft_ms(**limit_w) < bound_ms);
        *keeps
            .min_by(|one, other| joules(**one).total_cmp(&joules(**other)))
            .expect("some keep it")
    };
    // In the first case the bound decides, in the others the minimum of the energy.
    for (bound_ms, deviation, repeats) in [
        (162.0, 0.01, 3),
        (1000.0, 0.01, 3),
        (162.0, 0.003, 1),
        (1000.0, 0.003, 1),
    ] {
        let goal = json!({"minimise": "joules_per_output_token", "subject_to": {"p99_ttft_ms": {"below": bound_ms}}});
        let sweep = SweepRequest::read(&json!({"base": {}, "axes": {"power_limit_w": limits_w}, "goal": goal}));
        let sweep = sweep.expect("a sweep");
        let finds = |seed: &u64| {
            let mut random = ChaCha12Rng::seed_from_u64(*seed);
            let mut over = |truth: f64| {
                let figures: Vec<f64> = (0..repeats)
                    .map(|_| truth * (1.0 + deviation * noise(&mut random)))
                    .collect();
                over_repeats(&figures).expect("repeats")
            };
            let answer = tried_out(&sweep, |point| {
                let limit_w = limits_w[point as usize];
                (over(joules(limit_w)), over(ttft_ms(limit_w)))
            });
            let found = limits_w[answer.best_point.expect("a best") as usize];
            // Limits whose energies differ by less than the noise count as equal.
            assert!(answer.tried.len() <= 8, "{seed}: {answer:#?}");
            (joules(found) / joules(best_under(bound_ms)) - 1.0).abs() < 3.0 * deviation
        };
        let found = (0..100).filter(finds).count();
        assert!(
            found >= 95,
            "of 100 below {bound_ms} at {deviation} and {repeats}: {found}"
        );
    }
}

#[test]
fn where_no_point_keeps_a_bound_there_is_no_answer() {
    let goal = json!({"minimise": "joules_per_output_token", "subject_to": {"p99_ttft_ms": {"below": 5}}});
    let answer = search(&sweep(20, &goal), |point| (1.0, 45.0 + f64::from(point)), None);
    assert_eq!((answer.best_point, answer.tried.len()), (None, 3));
    assert!(
        answer.evidence.conclusion.contains("meets all bounds"),
        "{}",
        answer.evidence.conclusion
    );
}

#[test]
fn a_response_with_two_valleys_is_run_whole() {
    let goal = json!({"minimise": "joules_per_output_token"});
    let sweep = sweep(12, &goal);
    let response = |point: u32| (f64::from([5, 4, 9, 9, 9, 9, 9, 3, 2, 4, 5, 6][point as usize]), 0.0);
    let answer = search(&sweep, response, None);
    assert_eq!(answer.method, SearchMethod::BisectionThenGrid);
    assert_eq!((answer.best_point, answer.tried.len()), (Some(8), 12));
}

#[test]
fn few_values_and_several_axes_are_run_whole() {
    let goal = json!({"maximise": "output_throughput"});
    let answer = search(&sweep(3, &goal), |point| (f64::from(point), 0.0), None);
    assert_eq!((answer.method, answer.best_point), (SearchMethod::Grid, Some(2)));
    let two = json!({"base": {}, "axes": {"batch_size": [1, 2, 4, 8], "engine": ["a", "b"]}, "goal": goal});
    let two = SweepRequest::read(&two).expect("a sweep");
    let answer = search(&two, |point| (-f64::from(point), 0.0), None);
    assert_eq!((answer.best_point, answer.tried.len()), (Some(0), 8));
    assert_eq!(answer.evidence.objective, None);
}

#[test]
fn scatter_within_the_intervals_is_no_turn() {
    let figures = |half: f64| {
        [10.0, 9.9, 10.1, 8.0, 8.2, 7.9, 12.0]
            .map(|mean| figure(mean, Some(half)))
            .into_iter()
    };
    assert_eq!(shape(figures(0.2)), ResponseShape::OneMinimum);
    assert_eq!(shape(figures(0.01)), ResponseShape::Irregular);
    assert_eq!(shape(figures(9.0)), ResponseShape::Flat);
    assert_eq!(shape(figures(0.2).take(2)), ResponseShape::Unknown);
}

#[test]
fn a_point_whose_repeats_all_failed_is_never_the_best() {
    let goal = json!({"minimise": "joules_per_output_token"});
    let sweep = sweep(8, &goal);
    let mut answer = begin(&sweep).expect("a goal");
    while answer.state == SearchState::Searching {
        let of = |point: &u32| {
            let mut tried = observe(sweep.goal.as_ref().expect("a goal"), *point, &[], 2);
            if *point < 5 {
                tried.objective = Some(figure(10.0 - f64::from(*point), None));
                tried.meets = true;
            }
            tried
        };
        let tries = answer.pending.iter().map(of).collect();
        answer = advance(&sweep, answer, tries);
    }
    assert_eq!(answer.best_point, Some(4));
    let failed = answer.tried.iter().find(|of| of.point == 7).expect("an end is tried");
    assert_eq!(failed.reason.as_deref(), Some("no repeat was completed"));
}

proptest! {
    #[test]
    fn what_has_one_valley_and_a_bound_that_rises_is_found_with_fewer_runs(
        points in 8u32..200, at in 0.0..1.0_f64, bound in 0.05..1.5_f64, left in 0.1..10.0_f64, right in 0.1..10.0_f64
    ) {
        let goal = json!({"minimise": "joules_per_output_token", "subject_to": {"p99_ttft_ms": {"below": bound}}});
        let values: Vec<u32> = (1..=points).collect();
        let sweep = SweepRequest::read(&json!({"base": {}, "axes": {"batch_size": values}, "goal": goal})).unwrap();
        let share = |point: u32| f64::from(point) / f64::from(points);
        let response = |point: u32| {
            let from = share(point) - at;
            (1.0 + from.abs() * if from < 0.0 { left } else { right }, share(point) + 0.01)
        };
        let answer = search(&sweep, response, None);
        let expected = by_grid(points, response, Some(bound));
        let cost = |point: Option<u32>| point.map(|point| response(point).0);
        prop_assert_eq!(cost(answer.best_point), cost(expected), "{:#?}", answer);
        // Each try leaves about 0.62 of the remaining points.
        let most = 5.0 + f64::from(points).ln() / 1.618_f64.ln();
        prop_assert!((answer.tried.len() as f64) <= most, "{} of {points}", answer.tried.len());
    }
}
