//! Contrast of the colours in the style.

use crate::STYLE;

/// Returns the custom properties of each block that has them, in the order of the file.
fn themes() -> Vec<Vec<(&'static str, &'static str)>> {
    let blocks = STYLE.split('{').filter(|block| block.contains("--jm-paper: #"));
    let properties = |block: &'static str| {
        let block = block.split('}').next().unwrap_or_default();
        let lines = block.split(';').filter_map(|line| line.trim().split_once(": "));
        lines
            .filter(|(name, value)| name.starts_with("--jm-") && value.starts_with('#'))
            .collect::<Vec<_>>()
    };
    blocks.map(properties).collect()
}

/// Returns the relative luminance of a colour, as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let channel = |from: usize| {
        let value = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).expect("two hex digits")) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

/// Returns the contrast of two colours.
fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn the_dark_theme_is_the_same_by_preference_and_by_choice() {
    let themes = themes();
    assert_eq!(themes.len(), 3);
    assert_eq!(themes[1], themes[2]);
    assert!(
        themes[0]
            .iter()
            .all(|(name, _)| themes[1].iter().any(|(dark, _)| dark == name))
    );
}

#[test]
fn texts_have_a_contrast_of_4_5_and_what_is_drawn_of_3_on_both_papers() {
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
