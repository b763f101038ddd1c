use proptest::prelude::*;

use super::samples::CAPACITY;
use super::*;
use joulemark_measurement::clock::Monotonic;

fn sec(sec: f64) -> Monotonic {
    Monotonic::from_sec(sec)
}

fn span(start: f64, end: f64) -> Span {
    Span {
        start: sec(start),
        end: sec(end),
    }
}

/// Creates a counter of constant power, read every `step` seconds from 0 on.
fn constant(watts: f64, step: f64, count: u32) -> Series {
    let mut series = Series::default();
    for i in 0..count {
        let at = f64::from(i) * step;
        series.push_total(sec(at), watts * at, false);
    }
    series
}

#[test]
fn edges_that_were_read_are_not_interpolated() {
    let mut series = Series::default();
    series.push_total(sec(0.0), 0.0, false);
    series.push_total(sec(1.0), 7.0, true);
    series.push_total(sec(2.0), 100.0, true);
    series.push_total(sec(3.0), 500.0, false);
    let growth = series.growth(span(1.0, 2.0), 0.0).expect("a growth");
    assert_eq!((growth.total, growth.sample_count), (93.0, 2));
    assert_eq!((growth.timing, growth.shape), ([0.0; 2], [0.0; 2]));
}

#[test]
fn an_edge_between_samples_is_interpolated() {
    let growth = constant(200.0, 0.1, 20)
        .growth(span(0.52, 1.07), 0.0)
        .expect("a growth");
    assert!((growth.total - 110.0).abs() < 1e-6);
    assert_eq!(growth.sample_count, 5);
}

#[test]
fn a_window_inside_one_interval_is_still_known() {
    let growth = constant(200.0, 1.0, 3).growth(span(1.2, 1.4), 0.0).expect("a growth");
    assert!((growth.total - 40.0).abs() < 1e-6);
    assert_eq!((growth.sample_count, growth.interval_sec), (0, None));
}

#[test]
fn a_window_that_samples_do_not_cover_is_unknown_not_zero() {
    let series = constant(200.0, 0.1, 11);
    assert!(matches!(
        series.growth(span(-0.0, 1.5), 0.0),
        Err(Unknown::EndedEarly(_))
    ));
    assert_eq!(
        Series::default().growth(span(0.0, 1.0), 0.0),
        Err(Unknown::NeverSampled)
    );
    assert_eq!(series.growth(span(0.5, 0.5), 0.0), Err(Unknown::EmptyWindow));
    let mut late = Series::default();
    late.push_total(sec(1.0), 0.0, false);
    late.push_total(sec(2.0), 1.0, false);
    assert_eq!(late.growth(span(0.5, 1.5), 0.0), Err(Unknown::BeganLate(0.5)));
}

#[test]
fn a_counter_that_falls_voids_the_windows_across_it_and_no_others() {
    let mut series = constant(100.0, 1.0, 5);
    series.push_total(sec(5.0), 3.0, false);
    series.push_total(sec(6.0), 103.0, false);
    assert!(matches!(series.growth(span(3.0, 6.0), 0.0), Err(Unknown::Broken(_))));
    assert_eq!(series.growth(span(1.0, 4.0), 0.0).expect("before").total, 300.0);
    assert_eq!(series.growth(span(5.0, 6.0), 0.0).expect("after").total, 100.0);
}

/// Creates a counter of the integral `joules` that refreshes every `period`, read at `moments`.
fn stepwise(period: f64, joules: impl Fn(f64) -> f64, moments: impl Iterator<Item = f64>) -> Series {
    let mut series = Series::default();
    for at in moments {
        series.push_total(sec(at), joules((at / period + 1e-9).floor() * period), false);
    }
    series
}

fn every(step: f64, until: f64) -> impl Iterator<Item = f64> {
    (1u32..)
        .map(move |i| f64::from(i) * step)
        .take_while(move |at| *at < until)
}

#[test]
fn a_value_is_placed_at_the_refresh_it_came_from() {
    let series = stepwise(0.1, |at| 200.0 * at, every(0.0017, 2.0));
    assert!((series.refresh_sec().expect("a period") - 0.1).abs() < 0.002);
    for start in [0.501, 0.55, 0.599] {
        let growth = series.growth(span(start, start + 0.777), 0.1).expect("a growth");
        let error = (growth.total - 200.0 * 0.777).abs();
        let stated = growth.timing[0] + growth.timing[1];
        assert!(
            error <= stated && stated < 0.7,
            "{error} of {stated} J; one refresh is 20 J"
        );
    }
}

#[test]
fn a_single_step_between_two_refreshes_is_found_where_it_was() {
    let joules = |at: f64| 100.0 * at + 200.0 * (at - 1.03f64).max(0.0);
    let series = stepwise(0.1, joules, every(0.001, 2.0));
    let growth = series.growth(span(0.5, 1.05), 0.1).expect("a growth");
    let error = (growth.total - (joules(1.05) - joules(0.5))).abs();
    assert!(
        error <= growth.shape[1] + growth.timing[0] + growth.timing[1],
        "{error} {growth:?}"
    );
    assert!(
        growth.shape[1] > 0.5 && growth.shape[0] < 0.01,
        "only the edge at the step is uncertain: {growth:?}"
    );
}

#[test]
fn a_refresh_right_before_its_reading_or_a_whole_period_earlier_is_uncertain_at_both() {
    let (period, watts) = (0.01, 100.0);
    let caught = |from: f64, until: f64| every(1e-4, until - from).map(move |at| from + at);
    for late in [-2e-5, 2e-5, 5e-3] {
        let moments = caught(1.0, 1.05).chain([1.1 + late]).chain(caught(1.135, 1.2));
        let series = stepwise(period, |at| watts * at, moments);
        let reached = series.reached(sec(1.108), period);
        let error_j = (reached.total - watts * 1.108).abs();
        assert!(
            error_j <= reached.shape + reached.timing + 1e-6,
            "{late}: {error_j} {reached:?}"
        );
        let is_at_an_end = late < 1e-3;
        assert_eq!(reached.shape > 0.1, is_at_an_end, "{late}: {reached:?}");
        assert_eq!(
            error_j > 0.1,
            is_at_an_end,
            "{late}: it lies at an end, not in the middle: {error_j}"
        );
    }
}

#[test]
fn a_counter_that_is_always_fresh_has_no_timing_error() {
    let series = constant(150.0, 0.01, 200);
    assert_eq!(series.refresh_sec(), None);
    assert!(series.refresh_bound_sec().expect("a bound") < 0.012);
    let growth = series.growth(span(0.503, 1.207), 0.0).expect("a growth");
    assert!((growth.total - 105.6).abs() < 1e-6 && growth.timing == [0.0; 2] && growth.shape[0] < 1e-6);
}

#[test]
fn power_is_integrated_by_trapezoids() {
    let mut series = Series::default();
    for (at, power) in [(0.0, 100.0), (1.0, 100.0), (2.0, 300.0), (3.0, 300.0)] {
        series.push_power(sec(at), power, false);
    }
    let whole = series.growth(span(0.0, 3.0), 0.0).expect("a growth");
    assert_eq!(whole.total, 600.0);
    let curve = series.refreshed(span(0.0, 3.0), 0.0);
    assert!((curve.total(3.0) - curve.total(0.0) - 600.0).abs() < 1e-9);
    let jumps: Vec<_> = PowerCurveErrors::of(&curve, 0.0).jumps(0.0, 3.0).collect();
    assert_eq!(jumps.len(), 1, "{jumps:?}");
    assert_eq!((jumps[0].watts, jumps[0].sec, jumps[0].is_lone), (200.0, 1.0, false));
    let half = series.growth(span(1.0, 1.5), 0.0).expect("a growth");
    assert!((half.total - 75.0).abs() < 1e-9);
}

#[test]
fn equal_samples_of_constant_power_still_add_up() {
    let mut series = Series::default();
    for i in 0..=20 {
        series.push_power(sec(f64::from(i) * 0.5), 150.0, false);
    }
    assert_eq!(series.growth(span(0.0, 10.0), 0.0).expect("a growth").total, 1500.0);
}

#[test]
fn smooth_power_is_nearly_certain_and_a_lone_sample_is_not() {
    let uncertainty = |power: &dyn Fn(f64) -> f64| {
        let mut series = Series::default();
        for i in 0..=250 {
            let at = f64::from(i) * 0.02;
            series.push_power(sec(at), power(at), false);
        }
        let curve = series.refreshed(span(0.0, 5.0), 0.0);
        let jumps: Vec<_> = PowerCurveErrors::of(&curve, 0.0).jumps(0.0, 5.0).collect();
        let missed_j: f64 = jumps.iter().map(|jump| jump.watts * jump.sec / 2.0).sum();
        (missed_j, jumps.iter().any(|jump| jump.is_lone))
    };
    assert!(uncertainty(&|at| 200.0 + 50.0 * (2.0 * at).sin()).0 < 0.05);
    let (step_j, lone) = uncertainty(&|at| if at < 2.41 { 100.0 } else { 300.0 });
    assert!((step_j - 2.0).abs() < 1e-6 && !lone, "{step_j}");
    let (burst_j, lone) = uncertainty(&|at| if (at - 2.4).abs() < 0.005 { 300.0 } else { 100.0 });
    assert!((burst_j - 4.0).abs() < 1e-6 && lone, "{burst_j}");
}

#[test]
fn an_ended_process_s_cpu_time_stands_still() {
    let series = constant(1.0, 1.0, 4);
    assert_eq!(series.growth_until_the_end(span(2.0, 9.0)).expect("a growth"), 1.0);
    assert_eq!(series.growth_until_the_end(span(5.0, 9.0)).expect("a growth"), 0.0);
}

#[test]
fn memory_is_bounded_and_edges_stay_exact_however_long_it_runs() {
    let mut series = Series::default();
    for i in 0..300_000u32 {
        series.push_total(sec(f64::from(i) * 0.1), f64::from(i).powi(2), i == 50_001);
    }
    assert!(series.samples.len() <= CAPACITY);
    assert!(series.samples.iter().any(|sample| sample.total == 50_001.0f64.powi(2)));
    assert!(series.growth(span(0.0, 29_000.0), 1.0).is_ok());
}

#[test]
fn the_recent_rate_looks_back_as_far_as_asked() {
    let mut series = constant(100.0, 0.1, 11);
    series.push_total(sec(1.1), 140.0, false);
    assert!((series.recent_rate(0.05).expect("a rate") - 400.0).abs() < 1e-3);
    assert!((series.recent_rate(0.5).expect("a rate") - 160.0).abs() < 1e-3);
    assert_eq!(constant(1.0, 1.0, 1).recent_rate(1.0), None);
}

prop_compose! {
    fn curve()(steps in prop::collection::vec((0.001f64..1.0, 0.0f64..500.0), 3..60)) -> Vec<(f64, f64)> {
        let mut at = 0.0;
        steps.into_iter().map(|(dt, value)| { at += dt; (at, value) }).collect()
    }
}

#[test]
fn a_sensor_that_does_not_scatter_is_as_slow_as_its_changes_allow() {
    // Changes of the load, seen by a sensor of this period that is read every 4 ms.
    let slowest = |period: f64, changes: &[f64]| {
        let mut series = Series::default();
        for i in 0..1000 {
            let at = f64::from(i) * 0.004;
            let shown = (at / period).floor() * period;
            let level = changes.iter().filter(|change| **change <= shown).count();
            series.push_power(sec(at), if level % 2 == 0 { 100.0 } else { 300.0 }, false);
        }
        series.slowest_refresh_sec(span(0.5, 3.5), 0.1)
    };
    let uneven = [0.61, 0.893, 1.222, 1.45, 1.731, 2.05, 2.377, 2.61, 2.98, 3.19];
    assert!((0.099..=0.1).contains(&slowest(0.1, &uneven)), "what it is fits");
    assert!(slowest(0.005, &uneven) < 0.03, "a slow one is refuted");
    assert_eq!(slowest(0.005, &[]), 0.1, "nothing changed, nothing is refuted");
    assert!(slowest(0.005, &[1.0, 1.03]) < 0.04, "two changes are two refreshes");
}

proptest! {
    #[test]
    fn growth_adds_up_over_split_windows(
        curve in curve(), as_power in any::<bool>(), cuts in prop::array::uniform3(0.0f64..1.0),
    ) {
        let mut series = Series::default();
        let mut total = 0.0;
        for (at, value) in &curve {
            total += value;
            if as_power { series.push_power(sec(*at), *value, false) } else { series.push_total(sec(*at), total, false) }
        }
        let (first, last) = (curve[0].0, curve[curve.len() - 1].0);
        let mut cuts = cuts.map(|cut| first + cut * (last - first));
        cuts.sort_by(f64::total_cmp);
        prop_assume!(cuts[0] + 1e-6 < cuts[1] && cuts[1] + 1e-6 < cuts[2]);
        let grow = |from, to| series.growth(span(from, to), 0.0).map(|growth| growth.total);
        if let (Ok(a), Ok(b), Ok(whole)) = (grow(cuts[0], cuts[1]), grow(cuts[1], cuts[2]), grow(cuts[0], cuts[2])) {
            prop_assert!((a + b - whole).abs() <= 1e-6 * (1.0 + whole));
            prop_assert!(a >= -1e-9 && b >= -1e-9);
        }
    }

    #[test]
    fn power_does_not_depend_on_the_order_of_samples_at_equal_stamps(
        curve in curve(), repeats in prop::collection::vec((0usize..60, 0.0f64..500.0), 0..40),
    ) {
        let mut forwards: Vec<(f64, f64)> = curve.clone();
        forwards.extend(repeats.iter().map(|(index, value)| (curve[index % curve.len()].0, *value)));
        let mut backwards: Vec<(f64, f64)> = forwards.iter().rev().copied().collect();
        forwards.sort_by(|a, b| a.0.total_cmp(&b.0));
        backwards.sort_by(|a, b| a.0.total_cmp(&b.0));
        let whole = |samples: &[(f64, f64)]| {
            let mut series = Series::default();
            for (at, value) in samples { series.push_power(sec(*at), *value, false) }
            let span = span(curve[0].0, curve[curve.len() - 1].0);
            let growth = series.growth(span, 0.0).expect("a growth");
            let curve = series.refreshed(span, 0.0);
            let errors = PowerCurveErrors::of(&curve, 0.0);
            let jumps_j: f64 = errors.jumps(0.0, span.sec()).map(|jump| jump.watts * jump.sec).sum();
            (growth.total, curve.total(span.sec()) - curve.total(0.0), jumps_j)
        };
        let (one, other) = (whole(&forwards), whole(&backwards));
        prop_assert!((one.0 - other.0).abs() <= 1e-9 * (1.0 + one.0));
        prop_assert!((one.1 - other.1).abs() <= 1e-6 * (1.0 + one.1));
        prop_assert!((one.2 - other.2).abs() <= 1e-6 * (1.0 + one.2));
    }

    #[test]
    fn polled_power_adds_up_over_split_windows_whatever_its_refresh(
        curve in curve(), refresh in 0.0f64..0.2, cut in 0.0f64..1.0,
    ) {
        let mut series = Series::default();
        for (at, value) in &curve { series.push_power(sec(*at), *value, false) }
        let (first, last) = (curve[0].0, curve[curve.len() - 1].0);
        let around = series.refreshed(span(first, last), refresh);
        let (middle, end) = (cut * (last - first), last - first);
        let total = |from, to| around.total(to) - around.total(from);
        prop_assert!((total(0.0, middle) + total(middle, end) - total(0.0, end)).abs() <= 1e-6 * (1.0 + total(0.0, end)));
        prop_assert!(total(0.0, middle) >= -1e-9 && total(middle, end) >= -1e-9);
    }

    #[test]
    fn a_counter_s_growth_adds_up_and_never_falls_whatever_its_refresh(
        steps in prop::collection::vec((0.0005f64..0.15, 0.0f64..50.0), 5..80),
        period in 0.0f64..0.2, cuts in prop::array::uniform3(0.05f64..0.95),
    ) {
        let (mut at, mut total, mut series) = (1.0, 0.0, Series::default());
        for (dt, joules) in &steps {
            at += dt;
            if *joules > 20.0 { total += joules }
            series.push_total(sec(at), total, false);
        }
        let first = 1.0 + steps[0].0;
        let mut cuts = cuts.map(|cut| first + cut * (at - first));
        cuts.sort_by(f64::total_cmp);
        prop_assume!(cuts[0] + 1e-6 < cuts[1] && cuts[1] + 1e-6 < cuts[2]);
        let grow = |from, to| series.growth(span(from, to), period).expect("a growth").total;
        let (a, b, whole) = (grow(cuts[0], cuts[1]), grow(cuts[1], cuts[2]), grow(cuts[0], cuts[2]));
        prop_assert!((a + b - whole).abs() <= 1e-6 * (1.0 + whole));
        prop_assert!(a >= -1e-9 && b >= -1e-9, "{} {}", a, b);
    }
}
