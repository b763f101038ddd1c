/// A share of a figure, as people write it: 2% or 0.02.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(f64);

impl Percent {
    /// Returns it as a share: 0.02 for 2 %.
    pub fn share(self) -> f64 {
        self.0
    }
}

/// Reads a margin, which is above 0.
pub fn margin(text: &str) -> Result<Percent, String> {
    limit(text).and_then(|percent| match percent.0 > 0.0 {
        true => Ok(percent),
        false => Err("accepted is more than 0".to_owned()),
    })
}

/// Reads a limit, from 0 to 100 %.
pub fn limit(text: &str) -> Result<Percent, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let within = share.ok().filter(|share| (0.0..=1.0).contains(share));
    within
        .map(Percent)
        .ok_or_else(|| "accepted is a part of the whole, such as 2% or 0.02, up to 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_and_shares_are_read_and_what_may_be_either_is_refused() {
        for text in ["2%", "2 %", "0.02", "2.0%"] {
            assert_eq!(limit(text).map(Percent::share), Ok(0.02), "{text}");
        }
        for text in ["2", "-1%", "101%", "", "%", "nan", "two"] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert!(limit("0").is_ok() && margin("0").is_err());
    }
}
