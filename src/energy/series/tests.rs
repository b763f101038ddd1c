use proptest::prelude::*;

use super::*;

fn sec(sec: f64) -> Monotonic {
    Monotonic::from_sec(sec)
}

fn span(start: f64, end: f64) -> Span {
    Span {
        start: sec(start),
        end: sec(end),
    }
}

/// A counter of a constant `watts`, read every `step` seconds from 0 on.
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
    assert_eq!((growth.total, growth.edge_sec, growth.sample_count), (93.0, 0.0, 2));
}

#[test]
fn an_edge_between_samples_is_interpolated_and_its_distance_told() {
    let growth = constant(200.0, 0.1, 20)
        .growth(span(0.52, 1.07), 0.0)
        .expect("a growth");
    assert!((growth.total - 110.0).abs() < 1e-6);
    assert!((growth.edge_sec - 0.05).abs() < 1e-6);
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

#[test]
fn the_peak_is_that_of_the_steepest_stretch_and_not_of_a_single_step() {
    let mut series = Series::default();
    // 100 W, then 300 W from 2.0 s to 2.3 s; the counter moves every 100 ms and is read every 20 ms.
    for i in 0..=200u32 {
        let at = f64::from(i) * 0.02;
        let shown = (at * 10.0 + 1e-9).floor() / 10.0;
        series.push_total(sec(at), 100.0 * shown + 200.0 * (shown - 2.0).clamp(0.0, 0.3), false);
    }
    let peak = |start, end| series.growth(span(start, end), 0.2).expect("a growth").peak_rate;
    assert!((300.0..=450.0).contains(&peak(1.0, 3.0)), "{}", peak(1.0, 3.0));
    assert!(peak(0.3, 1.7) <= 150.0);
    assert!(
        peak(2.3, 2.4) >= 200.0,
        "what was drawn just before the window still shows in it"
    );
}

#[test]
fn power_is_integrated_by_trapezoids() {
    let mut series = Series::default();
    for (at, power) in [(0.0, 100.0), (1.0, 100.0), (2.0, 300.0), (3.0, 300.0)] {
        series.push_power(sec(at), power, false);
    }
    let whole = series.growth(span(0.0, 3.0), 0.0).expect("a growth");
    assert_eq!((whole.total, whole.roughness), (600.0, 100.0));
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
}
