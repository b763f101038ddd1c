//! Property tests: any input is drawn without faults.

use std::io::Write as _;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::faults;
use crate::*;

/// Returns any number: plausible ones, extreme ones, NaN and the infinities.
fn any_value() -> impl Strategy<Value = f64> + Clone {
    let odd = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
    ]);
    prop_oneof![4 => -10.0..2000.0, 2 => prop::num::f64::ANY, 1 => 1e-9..1e9, 1 => odd]
}

fn any_text() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["[a-z ]{0,12}", any::<String>(), "[<>&\"'a]{0,40}"]
}

fn any_interval() -> impl Strategy<Value = Option<(f64, f64)>> {
    option::of((any_value(), any_value()))
}

fn any_points() -> impl Strategy<Value = Vec<(f64, f64)>> {
    vec((any_value(), any_value()), 0..40)
}

/// Returns the ends of a time axis, mostly with points between them.
fn any_span() -> impl Strategy<Value = (f64, f64)> {
    prop_oneof![(any_value(), any_value()), (-10.0..100.0, 200.0..2000.0)]
}

/// Returns four texts: title, description and two more.
fn any_texts() -> impl Strategy<Value = [String; 4]> {
    [any_text(), any_text(), any_text(), any_text()]
}

fn any_timeline() -> impl Strategy<Value = Timeline> {
    let kinds = vec![
        BandKind::Load,
        BandKind::WarmUp,
        BandKind::Cycle,
        BandKind::Prefill,
        BandKind::Decode,
    ];
    let band = (any_value(), any_value(), prop::sample::select(kinds), any_text());
    let band = band.prop_map(|(from_sec, to_sec, kind, label)| Band {
        from_sec,
        to_sec,
        kind,
        label,
    });
    let line = (any_text(), any_points()).prop_map(|(name, points)| Line { name, points });
    let panel =
        (any_text(), any_text(), vec(line, 0..12)).prop_map(|(label, unit, lines)| Panel { label, unit, lines });
    let mark = (any_value(), any_value(), any_text());
    let mark = mark.prop_map(|(from_sec, to_sec, label)| Mark {
        from_sec,
        to_sec,
        label,
    });
    let parts = (
        any_texts(),
        any_span(),
        vec(band, 0..20),
        vec(panel, 0..4),
        vec(mark, 0..10),
    );
    parts.prop_map(
        |([title, description, ..], (from_sec, to_sec), bands, panels, marks)| Timeline {
            title,
            description,
            from_sec,
            to_sec,
            bands,
            panels,
            marks,
        },
    )
}

fn any_point() -> impl Strategy<Value = Point> {
    let parts = (
        any_text(),
        option::of(any_text()),
        any_value(),
        any_value(),
        any_interval(),
        any_interval(),
        any::<bool>(),
    );
    parts.prop_map(|(label, href, x, y, x_interval, y_interval, on_front)| Point {
        label,
        href,
        x,
        y,
        x_interval,
        y_interval,
        on_front,
    })
}

fn any_gantt() -> impl Strategy<Value = Gantt> {
    let kinds = vec![SpanKind::Queued, SpanKind::Prefill, SpanKind::Decode, SpanKind::Failed];
    let span = (any_value(), any_value(), prop::sample::select(kinds), any_text());
    let span = span.prop_map(|(from_sec, to_sec, kind, label)| Span {
        from_sec,
        to_sec,
        kind,
        label,
    });
    let row = (any_text(), vec(span, 0..3)).prop_map(|(label, spans)| Row { label, spans });
    let rows = prop_oneof![9 => 0..20_usize, 1 => 380..420_usize].prop_flat_map(move |count| vec(row.clone(), count));
    let parts = (any_texts(), any_span(), rows);
    parts.prop_map(|([title, description, ..], (from_sec, to_sec), rows)| Gantt {
        title,
        description,
        from_sec,
        to_sec,
        rows,
    })
}

fn any_bars() -> impl Strategy<Value = Bars> {
    let bar = (any_text(), any_value(), any_interval(), any::<bool>());
    let bar = bar.prop_map(|(label, value, interval, estimated)| Bar {
        label,
        value,
        interval,
        estimated,
    });
    let group = (any_text(), vec(bar, 0..6)).prop_map(|(label, bars)| Group { label, bars });
    let parts = (any_texts(), vec(group, 0..6));
    parts.prop_map(|([title, description, unit, _], groups)| Bars {
        title,
        description,
        unit,
        groups,
    })
}

/// Fails where the drawing has faults.
fn sound(svg: &Svg) -> Result<(), TestCaseError> {
    let faults = faults(svg);
    prop_assert!(faults.is_empty(), "{faults:?}\n{svg}");
    Ok(())
}

proptest! {
    #[test]
    fn any_timeline_is_drawn(drawn in any_timeline()) {
        sound(&timeline(&drawn))?;
    }

    #[test]
    fn any_gantt_is_drawn(drawn in any_gantt()) {
        sound(&gantt(&drawn))?;
    }

    #[test]
    fn any_bars_are_drawn(drawn in any_bars()) {
        sound(&bars(&drawn))?;
    }

    #[test]
    fn any_distribution_is_drawn(texts in any_texts(), samples in vec(vec(any_value(), 0..60), 0..12)) {
        let [title, description, unit, name] = texts;
        let curves = samples.into_iter().map(|values| Curve { name: name.clone(), values }).collect();
        sound(&distribution(&Distribution { title, description, unit, curves }))?;
    }

    #[test]
    fn any_sparkline_is_drawn(texts in any_texts(), span in any_span(), points in any_points()) {
        let [title, description, unit, _] = texts;
        let (from_sec, to_sec) = span;
        sound(&sparkline(&Sparkline { title, description, from_sec, to_sec, unit, points }))?;
    }

    #[test]
    fn any_roofline_is_drawn(texts in any_texts(), limits in (1e-3..1e16, any_value()), points in any_points()) {
        let [title, description, label, _] = texts;
        let point = |(flops_per_byte, flops_per_sec)| RooflinePoint { label: label.clone(), flops_per_byte, flops_per_sec };
        let points = points.into_iter().map(point).collect();
        let (peak_flops_per_sec, bandwidth_bytes_per_sec) = limits;
        sound(&roofline(&Roofline { title, description, peak_flops_per_sec, bandwidth_bytes_per_sec, points }))?;
    }

    #[test]
    fn any_scatter_is_drawn(texts in any_texts(), points in vec(any_point(), 0..60)) {
        let [title, description, label, unit] = texts;
        let axis = AxisLabel { label, unit };
        sound(&scatter(&Scatter { title, description, x: axis.clone(), y: axis, points }))?;
    }

    #[test]
    fn any_metric_along_an_axis_is_drawn(
        texts in any_texts(),
        points in vec(any_point(), 0..30),
        best in option::of((any_value(), any_interval())),
        knee in option::of(any_value()),
    ) {
        let [title, description, label, unit] = texts;
        let axis = AxisLabel { label, unit };
        let best = best.map(|(x, interval)| Best { x, interval });
        sound(&along(&Along { title, description, x: axis.clone(), y: axis, points, best, knee }))?;
    }

    #[test]
    fn any_forest_is_drawn(texts in any_texts(), ratios in vec((any_value(), any_interval()), 0..20)) {
        let [title, description, label, verdict] = texts;
        let row = |(ratio, interval)| ForestRow { label: label.clone(), ratio, interval, verdict: verdict.clone() };
        sound(&forest(&Forest { title, description, rows: ratios.into_iter().map(row).collect() }))?;
    }

    #[test]
    fn thinning_keeps_the_ends_and_the_extremes_of_each_column(
        values in vec(prop_oneof![9 => -1e3..1e3, 1 => Just(f64::NAN)], 200..2000),
        columns in 1_usize..40,
    ) {
        let points: Vec<_> = values.iter().enumerate().map(|(index, y)| (index as f64, *y)).collect();
        let thinned = thin(&points, columns);
        prop_assert!(thinned.len() <= points.len().max(columns * 5));
        prop_assert!(thinned.is_sorted_by(|a, b| a.0 <= b.0));
        let column_of = |x: f64| ((x * (columns as f64 / (points.len() - 1) as f64)) as usize).min(columns - 1);
        for column in points.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
            let finite: Vec<_> = column.iter().filter(|(_, y)| y.is_finite()).collect();
            let kept: Vec<_> = thinned.iter().filter(|(x, y)| y.is_finite() && column_of(*x) == column_of(column[0].0)).collect();
            prop_assert_eq!(finite.first(), kept.first());
            prop_assert_eq!(finite.last(), kept.last());
            let least = |points: &[&(f64, f64)]| points.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
            let most = |points: &[&(f64, f64)]| points.iter().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(least(&finite), least(&kept));
            prop_assert_eq!(most(&finite), most(&kept));
        }
    }
}

/// Returns a timeline of one hour of eight GPUs at ten readings a second, in several panels, with random values.
fn an_hour(panels: usize) -> Timeline {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut line = |board: usize| Line {
        name: format!("GPU {board}"),
        points: (0..36_000)
            .map(|tick| (f64::from(tick) / 10.0, 700.0 * noise()))
            .collect(),
    };
    let panel = |lines| Panel {
        label: "power".to_owned(),
        unit: "W".to_owned(),
        lines,
    };
    Timeline {
        title: "Power".to_owned(),
        description: "An hour.".to_owned(),
        from_sec: 0.0,
        to_sec: 3600.0,
        bands: vec![],
        panels: (0..panels).map(|_| panel((0..8).map(&mut line).collect())).collect(),
        marks: vec![],
    }
}

/// Returns how many bytes a drawing has once it is compressed.
fn compressed(text: &str) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector takes all");
    encoder.finish().expect("a vector takes all").len()
}

#[test]
fn an_hour_of_noise_of_eight_gpus_stays_small() {
    for panels in [1, 3] {
        let text = timeline(&an_hour(panels)).to_string();
        assert!(text.len() < 200_000, "{panels} panels: {} bytes", text.len());
        let compressed = compressed(&text);
        assert!(compressed < 80_000, "{panels} panels: {compressed} bytes compressed");
    }
}
