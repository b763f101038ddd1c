//! Numbers as text: ticks of an axis, and values in labels and tooltips.

/// Maximum magnitude that is drawn; a larger one is not a measurement.
const LIMIT: f64 = 1e100;
/// A narrow no-break space, between a number and its prefix.
const NARROW: char = '\u{202f}';

/// Returns whether a value can be drawn.
pub(crate) fn usable(value: f64) -> bool {
    value.abs() <= LIMIT
}

/// Returns whether a value can be drawn on a logarithmic axis.
pub(crate) fn usable_log(value: f64) -> bool {
    (LIMIT.recip()..=LIMIT).contains(&value)
}

/// Returns the interval in ascending order where both ends can be drawn.
pub(crate) fn usable_interval(interval: Option<(f64, f64)>) -> Option<(f64, f64)> {
    interval
        .filter(|(low, high)| usable(*low) && usable(*high))
        .map(|(low, high)| (low.min(high), low.max(high)))
}

/// Returns the labels of ticks that are one step apart, all with the same number of decimals and the same prefix.
pub(crate) fn ticks(values: &[f64], step: f64) -> Vec<String> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let (factor, suffix) = match prefix(largest) {
        (factor, _) if factor == 1.0 && largest >= 1e5 => (1e3, format!("{NARROW}k")),
        prefix => prefix,
    };
    values
        .iter()
        .map(|value| match fixed(value / factor, decimals(step / factor)) {
            zero if !zero.contains(|digit: char| ('1'..='9').contains(&digit)) => "0".to_owned(),
            label => label + &suffix,
        })
        .collect()
}

/// Returns a value with three significant digits, or with all digits before the decimal point if these are more.
pub(crate) fn brief(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            "unknown".to_owned()
        };
    }
    let (factor, suffix) = prefix(value.abs());
    let scaled = value / factor;
    let digits = (2.0 - scaled.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    let mut text = fixed(scaled, digits);
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + &suffix
}

/// Returns a value with the digits that its interval allows: two significant digits of the half-width.
pub(crate) fn measured(value: f64, interval: Option<(f64, f64)>) -> String {
    match interval.map(|(low, high)| (high - low) / 2.0) {
        Some(half) if half > 0.0 && value != 0.0 => {
            let (factor, suffix) = prefix(value.abs());
            let digits = (1.0 - (half / factor).log10().floor()).min(9.0);
            // Digits before the point that the interval leaves open are rounded to zero.
            let scaled = value / factor;
            let step = 10.0_f64.powf(-digits);
            let scaled = if digits < 0.0 {
                (scaled / step).round() * step
            } else {
                scaled
            };
            fixed(scaled, digits.max(0.0) as usize) + &suffix
        }
        _ => brief(value),
    }
}

/// Returns a value and its unit.
pub(crate) fn with_unit(value: &str, unit: &str) -> String {
    if unit.is_empty() {
        value.to_owned()
    } else {
        format!("{value} {unit}")
    }
}

/// Returns the factor and the suffix with which a magnitude has few digits: a unit prefix from a million on, a power of
/// ten where there is no prefix.
fn prefix(magnitude: f64) -> (f64, String) {
    match magnitude {
        m if m == 0.0 || (1e-4..1e6).contains(&m) => (1.0, String::new()),
        m if (1e6..1e21).contains(&m) => {
            let place = (m.log10() / 3.0 + 1e-9).floor();
            (
                1e3_f64.powf(place),
                format!(
                    "{NARROW}{}",
                    ["M", "G", "T", "P", "E"][(place as usize).clamp(2, 6) - 2]
                ),
            )
        }
        m => {
            let exponent = (m.log10() + 1e-9).floor();
            (10.0_f64.powf(exponent), format!("×10{}", superscript(exponent)))
        }
    }
}

/// Returns an exponent as superscript digits.
fn superscript(exponent: f64) -> String {
    let raise = |character| match character {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize % 16 % 10],
    };
    format!("{exponent:.0}").chars().map(raise).collect()
}

/// Returns the number of decimals that distinguish values that are one step apart.
fn decimals(step: f64) -> usize {
    if step > 0.0 {
        (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize
    } else {
        0
    }
}

/// Returns a number with a fixed number of decimals, a minus sign and commas between thousands.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let negative = value < 0.0
        && text
            .chars()
            .any(|character| character.is_ascii_digit() && character != '0');
    format!("{}{grouped}{rest}", if negative { "−" } else { "" })
}

/// Returns a time as seconds, as minutes and seconds, or as hours and minutes, depending on the unit of its axis.
pub(crate) fn moment(sec: f64, unit: TimeUnit, step: f64) -> String {
    let sign = if sec < 0.0 { "−" } else { "" };
    let whole = sec.abs().round();
    match unit {
        TimeUnit::Seconds => fixed(sec, decimals(step)),
        TimeUnit::Minutes => format!("{sign}{}:{:02}", (whole / 60.0).floor(), whole % 60.0),
        TimeUnit::Hours => {
            let minutes = (sec.abs() / 60.0).round();
            format!("{sign}{}:{:02}", (minutes / 60.0).floor(), minutes % 60.0)
        }
    }
}

/// The unit of the labels of a time axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Seconds,
    Minutes,
    Hours,
}

impl TimeUnit {
    /// Returns the unit for an axis whose ends are at most this far from zero.
    pub fn of(furthest_sec: f64) -> Self {
        match furthest_sec {
            sec if sec <= 180.0 => Self::Seconds,
            sec if sec <= 7200.0 => Self::Minutes,
            _ => Self::Hours,
        }
    }

    /// Returns the unit as the title of the axis writes it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Minutes => "min:s",
            Self::Hours => "h:min",
        }
    }
}
