//! Contrast and distance of the style's colours.

use crate::STYLE;

/// Returns the colours of the light and of the dark theme, in the order of the file.
fn themes() -> [Vec<(&'static str, &'static str)>; 2] {
    let lines = STYLE
        .split(';')
        .filter_map(|line| line.trim().split_once(": var(--jm-light, "));
    let colours = lines.filter_map(|(name, values)| {
        let (light, dark) = values.split_once(") var(--jm-dark, ")?;
        let dark = dark.strip_suffix(')')?;
        (light.starts_with('#') && dark.starts_with('#')).then_some((name, light, dark))
    });
    let (light, dark) = colours.map(|(name, light, dark)| ((name, light), (name, dark))).unzip();
    [light, dark]
}

/// Returns the linear red, green and blue components of a colour.
fn light(colour: &str) -> [f64; 3] {
    [1, 3, 5].map(|from| {
        let value = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).expect("two hex digits")) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    })
}

/// Returns the relative luminance of a colour, as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let [red, green, blue] = light(colour);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Returns the contrast of two colours.
fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_is_in_the_file_once_for_each_theme() {
    let [light, dark] = themes();
    assert_eq!((light.len(), dark.len()), (24, 24));
    for (name, _) in light {
        assert_eq!(STYLE.matches(&format!("{name}: var(")).count(), 1, "{name}");
    }
    for start in [
        ":root:not([data-theme=\"light\"]) .jm-chart {",
        ":root[data-theme=\"dark\"] .jm-chart {",
    ] {
        let block = STYLE
            .split_once(start)
            .expect("a block")
            .1
            .split_once('}')
            .expect("its end")
            .0;
        assert_eq!(block.trim(), "--jm-light: ; --jm-dark: initial;");
    }
}

#[test]
fn texts_have_a_contrast_of_4_5_and_shapes_of_3_in_both_themes() {
    for theme in themes() {
        let of = |name: &str| theme.iter().find(|(found, _)| *found == name).expect("a colour").1;
        let paper = of("--jm-paper");
        for (name, colour) in &theme {
            let least = match *name {
                "--jm-ink" | "--jm-ink-soft" => 4.5,
                "--jm-paper" | "--jm-grid" => 1.0,
                _ => 3.0,
            };
            let contrast = contrast(paper, colour);
            assert!(
                contrast >= least,
                "{name}: {colour} on {paper} has {contrast:.2}, not {least}"
            );
        }
    }
}

/// Matrices that simulate full colour vision, and vision without green, without red and without blue (Machado, Oliveira
/// and Fernandes, 2009, severity 1).
const SIGHTS: [[[f64; 3]; 3]; 4] = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ],
    [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ],
    [
        [1.255_528, -0.076_749, -0.178_779],
        [-0.078_411, 0.930_809, 0.147_602],
        [0.004_733, 0.691_367, 0.303_900],
    ],
];

/// Returns the position of a colour in CIELAB for a kind of colour vision.
fn lab(colour: &str, sight: &[[f64; 3]; 3]) -> [f64; 3] {
    let light = light(colour);
    let [red, green, blue] = sight.map(|row| {
        (0..3)
            .map(|index| row[index] * light[index])
            .sum::<f64>()
            .clamp(0.0, 1.0)
    });
    let compress = |part: f64| {
        if part > 0.008_856 {
            part.cbrt()
        } else {
            7.787 * part + 16.0 / 116.0
        }
    };
    let x = compress((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505);
    let y = compress(0.2126 * red + 0.7152 * green + 0.0722 * blue);
    let z = compress((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[test]
fn the_colours_of_lines_are_distinct_for_the_colour_blind() {
    for theme in themes() {
        let series: Vec<_> = theme
            .iter()
            .filter(|(name, _)| name.starts_with("--jm-c") && name.len() == 7)
            .collect();
        assert_eq!(series.len(), 8);
        for (sight, matrix) in SIGHTS.iter().enumerate() {
            for (index, (name, colour)) in series.iter().enumerate() {
                for (other, another) in &series[index + 1..] {
                    let (one, two) = (lab(colour, matrix), lab(another, matrix));
                    let distance = (0..3).map(|part| (one[part] - two[part]).powi(2)).sum::<f64>().sqrt();
                    assert!(
                        distance > 17.0,
                        "{name} and {other} are {distance:.1} apart to sight {sight}"
                    );
                }
            }
        }
    }
}
