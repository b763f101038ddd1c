//! Parses percentages of the command line.

/// A fraction, written as 2% or 0.02.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(f64);

impl Percent {
    /// Returns the fraction: 0.02 for 2 %.
    pub fn share(self) -> f64 {
        self.0
    }
}

/// Parses a margin; returns an error unless it is above 0 and at most 100 %.
pub fn margin(text: &str) -> Result<Percent, String> {
    limit(text).and_then(|percent| match percent.0 > 0.0 {
        true => Ok(percent),
        false => Err("it must be more than 0".to_owned()),
    })
}

/// Parses a limit; returns an error unless it is from 0 to 100 %.
pub fn limit(text: &str) -> Result<Percent, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let within = share.ok().filter(|share| (0.0..=1.0).contains(share));
    within
        .map(Percent)
        .ok_or_else(|| "it must be a percentage or a fraction from 0 to 100%, e.g. 2% or 0.02".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_fractions_are_parsed_and_ambiguous_numbers_are_rejected() {
        for text in ["2%", "2 %", "0.02", "2.0%"] {
            assert_eq!(limit(text).map(Percent::share), Ok(0.02), "{text}");
        }
        for text in ["2", "-1%", "101%", "", "%", "nan", "two"] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert!(limit("0").is_ok() && margin("0").is_err());
    }
}
