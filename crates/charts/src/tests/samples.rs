//! Every chart with plausible invented figures, for the tests and the gallery.

use super::charts::{
    self, Along, AxisLabel, Band, BandKind, Bar, Bars, Best, Curve, Distribution, Forest, ForestRow, Gantt, Group,
    Line, Mark, Panel, Point, Roofline, RooflinePoint, Row, Scatter, Span, SpanKind, Sparkline, Svg, Timeline,
};

/// Returns every chart with its title.
pub fn all() -> Vec<(&'static str, Svg)> {
    vec![
        ("Power over time", charts::timeline(&power())),
        ("Eight GPUs", charts::timeline(&eight())),
        ("Energy by source and phase", charts::bars(&energy())),
        ("Time to first token", charts::distribution(&latency())),
        ("Requests", charts::gantt(&requests(24))),
        ("Many requests", charts::gantt(&requests(500))),
        ("Roofline", charts::roofline(&roofline())),
        ("Speed against energy", charts::scatter(&pareto())),
        ("Energy along the power limit", charts::along(&limits())),
        ("Ratios", charts::forest(&ratios())),
        ("The last five minutes", charts::sparkline(&last_minutes())),
        (
            "Nothing",
            charts::bars(&Bars {
                groups: vec![],
                ..energy()
            }),
        ),
    ]
}

/// Returns a value between -1 and 1 that looks like noise.
fn noise(seed: f64) -> f64 {
    let value = (seed * 12.9898).sin() * 43_758.545_3;
    (value - value.floor()) * 2.0 - 1.0
}

fn band(from_sec: f64, to_sec: f64, kind: BandKind, label: &str) -> Band {
    Band {
        from_sec,
        to_sec,
        kind,
        label: label.to_owned(),
    }
}

/// Returns the power of a GPU in a run of five cycles, in watts.
fn watts(sec: f64, board: f64) -> f64 {
    let base = 71.0 + 6.0 * board;
    let busy = if sec < 0.0 {
        0.0
    } else if sec < 12.0 {
        45.0
    } else if sec < 40.0 {
        10.0
    } else {
        let within = (sec - 40.0) % 36.0;
        if sec > 220.0 {
            5.0
        } else if within < 4.0 {
            540.0 - 20.0 * board
        } else if within < 30.0 {
            390.0 + 15.0 * board
        } else {
            30.0
        }
    };
    base + busy + noise(sec + board * 7.0) * (3.0 + busy * 0.04)
}

/// Returns a run of five cycles on two GPUs.
pub fn power() -> Timeline {
    let series = |value: &dyn Fn(f64, f64) -> f64| -> Vec<Line> {
        let points = |board: f64| {
            (-200..2300)
                .map(|tick| f64::from(tick) / 10.0)
                .map(|sec| (sec, value(sec, board)))
                .collect()
        };
        [0.0, 1.0]
            .map(|board| Line {
                name: format!("GPU {board}"),
                points: points(board),
            })
            .into()
    };
    let mut bands = vec![
        band(-20.0, 0.0, BandKind::Baseline, "baseline"),
        band(0.0, 12.0, BandKind::Load, "load"),
        band(12.0, 40.0, BandKind::WarmUp, "warm-up"),
        band(220.0, 230.0, BandKind::Baseline, "baseline"),
    ];
    for cycle in 0..5 {
        let from = 40.0 + 36.0 * f64::from(cycle);
        bands.push(band(from, from + 30.0, BandKind::Cycle, &(cycle + 1).to_string()));
        bands.push(band(from, from + 4.0, BandKind::Prefill, ""));
        bands.push(band(from + 4.0, from + 30.0, BandKind::Decode, ""));
        bands.push(band(from + 30.0, from + 36.0, BandKind::Settle, ""));
    }
    let panel = |label: &str, unit: &str, lines| Panel {
        label: label.to_owned(),
        unit: unit.to_owned(),
        lines,
    };
    Timeline {
        title: "Power over time".to_owned(),
        description: "Power, temperature and clocks of two GPUs over five cycles.".to_owned(),
        from_sec: -20.0,
        to_sec: 230.0,
        bands,
        panels: vec![
            panel("power", "W", series(&watts)),
            panel(
                "temperature",
                "°C",
                series(&|sec, board| (44.0 + (sec.max(0.0) / 9.0).min(22.0) + board * 2.0).round()),
            ),
            panel(
                "graphics clock",
                "MHz",
                series(&|sec, board| {
                    if watts(sec, board) > 500.0 {
                        1695.0
                    } else if sec > 0.0 {
                        1980.0
                    } else {
                        345.0
                    }
                }),
            ),
        ],
        marks: vec![
            Mark {
                from_sec: 40.0,
                to_sec: 44.0,
                label: "throttling: power cap".to_owned(),
            },
            Mark {
                from_sec: 112.0,
                to_sec: 116.0,
                label: "throttling: power cap".to_owned(),
            },
            Mark {
                from_sec: 148.0,
                to_sec: 149.0,
                label: "throttling: thermal".to_owned(),
            },
        ],
    }
}

fn eight() -> Timeline {
    let line = |board: u32| {
        let points = (0..36_000).map(|tick| f64::from(tick) / 10.0).map(|sec| {
            let wave = (sec / 200.0 + f64::from(board)).sin() * 60.0;
            (
                sec,
                250.0 + f64::from(board) * 40.0 + wave + noise(sec + f64::from(board)) * 18.0,
            )
        });
        Line {
            name: format!("GPU {board}"),
            points: points.collect(),
        }
    };
    Timeline {
        title: "Eight GPUs".to_owned(),
        description: "An hour at ten readings a second.".to_owned(),
        from_sec: 0.0,
        to_sec: 3600.0,
        bands: vec![
            band(0.0, 120.0, BandKind::Baseline, "idle"),
            band(120.0, 3300.0, BandKind::Cycle, "cycle"),
            band(3300.0, 3600.0, BandKind::Other, "waiting"),
        ],
        panels: vec![Panel {
            label: "power".to_owned(),
            unit: "W".to_owned(),
            lines: (0..8).map(line).collect(),
        }],
        marks: vec![],
    }
}

fn energy() -> Bars {
    let bar = |label: &str, value: f64, half: f64, estimated| Bar {
        label: label.to_owned(),
        value,
        interval: (half > 0.0).then_some((value - half, value + half)),
        estimated,
    };
    let group = |label: &str, bars| Group {
        label: label.to_owned(),
        bars,
    };
    Bars {
        title: "Energy by source and phase".to_owned(),
        description: "Joules of each source in each phase.".to_owned(),
        unit: "J".to_owned(),
        groups: vec![
            group(
                "GPU 0 (NVML)",
                vec![
                    bar("prefill", 1920.0, 44.0, false),
                    bar("decode", 10_240.0, 210.0, false),
                ],
            ),
            group(
                "CPU package (RAPL)",
                vec![bar("prefill", 310.2, 12.0, false), bar("decode", 2204.0, 65.0, false)],
            ),
            group(
                "Memory",
                vec![
                    bar("prefill", 48.0, 9.0, true),
                    bar("decode", 402.0, 80.0, true),
                    bar("idle, not known", f64::NAN, 0.0, false),
                ],
            ),
        ],
    }
}

fn latency() -> Distribution {
    let sample = |middle: f64, spread: f64, seed: f64| -> Vec<f64> {
        (0..400)
            .map(|index| {
                middle * (spread * (noise(f64::from(index) + seed) + noise(f64::from(index) * 3.0 + seed))).exp()
            })
            .collect()
    };
    Distribution {
        title: "Time to first token".to_owned(),
        description: "Shares of requests that had their first token within a time.".to_owned(),
        unit: "ms".to_owned(),
        curves: vec![
            Curve {
                name: "TTFT".to_owned(),
                values: sample(180.0, 0.5, 1.0),
            },
            Curve {
                name: "TPOT".to_owned(),
                values: sample(11.0, 0.12, 2.0),
            },
            Curve {
                name: "end to end".to_owned(),
                values: sample(2600.0, 0.3, 3.0),
            },
        ],
    }
}

fn requests(count: u32) -> Gantt {
    let span = |from_sec, to_sec, kind, label: &str| Span {
        from_sec,
        to_sec,
        kind,
        label: label.to_owned(),
    };
    let row = |index: u32| {
        let arrived = f64::from(index) * 24.0 / f64::from(count) + noise(f64::from(index)).abs();
        let begun = arrived + 0.3 + noise(f64::from(index) + 0.5).abs();
        let first = begun + 0.4;
        let end = first + 3.0 + 2.0 * noise(f64::from(index) + 0.25);
        let last = if index % 11 == 7 {
            SpanKind::Failed
        } else {
            SpanKind::Decode
        };
        let spans = vec![
            span(arrived, begun, SpanKind::Queued, ""),
            span(begun, first, SpanKind::Prefill, "512 tokens"),
            span(first, end, last, "128 tokens"),
        ];
        Row {
            label: format!("request {}", index + 1),
            spans,
        }
    };
    Gantt {
        title: format!("{count} requests"),
        description: "When each request waited, was prefilled and decoded.".to_owned(),
        from_sec: 0.0,
        to_sec: 31.0,
        rows: (0..count).map(row).collect(),
    }
}

fn roofline() -> Roofline {
    let point = |label: &str, flops_per_byte, flops_per_sec| RooflinePoint {
        label: label.to_owned(),
        flops_per_byte,
        flops_per_sec,
    };
    Roofline {
        title: "Roofline".to_owned(),
        description: "Prefill and decode below the limits of an H100.".to_owned(),
        peak_flops_per_sec: 989e12,
        bandwidth_bytes_per_sec: 3.35e12,
        points: vec![
            point("prefill", 480.0, 512e12),
            point("decode, batch 1", 1.0, 2.1e12),
            point("decode, batch 32", 31.0, 58e12),
        ],
    }
}

fn axis(label: &str, unit: &str) -> AxisLabel {
    AxisLabel {
        label: label.to_owned(),
        unit: unit.to_owned(),
    }
}

fn pareto() -> Scatter {
    let point = |(batch, x, y, on_front): (u32, f64, f64, bool)| Point {
        label: format!("batch {batch}"),
        href: Some(format!("../experiments/{batch}")),
        x,
        y,
        x_interval: Some((x * 0.97, x * 1.03)),
        y_interval: Some((y * 0.94, y * 1.06)),
        on_front,
    };
    let points = [
        (1, 92.0, 3.9, true),
        (2, 90.0, 2.1, true),
        (4, 87.0, 1.15, true),
        (8, 82.0, 0.74, true),
        (16, 74.0, 0.6, true),
        (24, 60.0, 0.64, false),
        (32, 51.0, 0.83, false),
        (12, 76.0, 0.95, false),
    ];
    Scatter {
        title: "Speed against energy".to_owned(),
        description: "Tokens a second of a user against joules a token, with the front.".to_owned(),
        x: axis("speed for a user", "tokens/s"),
        y: axis("energy a token", "J/token"),
        points: points.map(point).into(),
    }
}

fn limits() -> Along {
    let point = |watts: u32| {
        let (x, part) = (f64::from(watts), (f64::from(watts) - 420.0) / 300.0);
        let y = 0.62 + part * part * 0.5;
        Point {
            label: format!("{watts} W"),
            href: None,
            x,
            y,
            x_interval: None,
            y_interval: Some((y - 0.02, y + 0.025)),
            on_front: false,
        }
    };
    Along {
        title: "Energy along the power limit".to_owned(),
        description: "Joules a token at each power limit.".to_owned(),
        x: axis("power limit", "W"),
        y: axis("energy a token", "J/token"),
        points: (200..=700).step_by(50).map(point).collect(),
        best: Some(Best {
            x: 421.0,
            interval: Some((392.0, 455.0)),
        }),
        knee: Some(500.0),
    }
}

fn ratios() -> Forest {
    let row = |label: &str, ratio: f64, interval, verdict: &str| ForestRow {
        label: label.to_owned(),
        ratio,
        interval,
        verdict: verdict.to_owned(),
    };
    Forest {
        title: "Ratios".to_owned(),
        description: "Each metric of the second experiment over the first's.".to_owned(),
        rows: vec![
            row("energy a token", 0.87, Some((0.83, 0.91)), "better"),
            row("throughput", 1.012, Some((0.98, 1.045)), "no difference found"),
            row("time to first token, p99", 1.38, Some((1.11, 1.71)), "worse"),
            row(
                "goodput under the service level objective",
                f64::NAN,
                None,
                "not measured in the first",
            ),
        ],
    }
}

fn last_minutes() -> Sparkline {
    Sparkline {
        title: "Power of GPU 0".to_owned(),
        description: "The last five minutes.".to_owned(),
        from_sec: -300.0,
        to_sec: 0.0,
        unit: "W".to_owned(),
        points: (-300..=0)
            .map(|sec| (f64::from(sec), watts(f64::from(sec) + 260.0, 0.0)))
            .collect(),
    }
}
