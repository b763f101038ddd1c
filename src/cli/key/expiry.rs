//! Parses `--expires`.

use anyhow::{Context as _, bail};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use joulemark_measurement::quoted;

/// Parses a time, a day (its beginning in UTC), or a duration from `now`.
pub fn read(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Ok(day) = text.parse::<Date>() {
        day.to_zoned_datetime(TimeZone::UTC)?.timestamp()
    } else {
        let span: Span = text.parse().map_err(|_| {
            anyhow::anyhow!(
                "--expires is {text}; accepted are a duration such as 90d, 6months or 12h, a day such as 2027-01-31, and \
                 a time such as 2027-01-31T12:00:00Z",
                text = quoted(&text)
            )
        })?;
        // The length of days and months depends on the calendar.
        now.to_zoned_datetime(TimeZone::UTC)
            .checked_add(span)
            .with_context(|| format!("--expires {text} is too far away", text = quoted(&text)))?
            .timestamp()
    };
    if at <= now {
        bail!("--expires {text} is {at}, which is in the past", text = quoted(&text));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_duration_a_day_and_a_time_are_parsed() {
        for (text, expected) in [
            ("90d", "2027-02-23T12:00:00Z"),
            ("6months", "2027-05-25T12:00:00Z"),
            ("12h", "2026-11-26T00:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z"),
        ] {
            assert_eq!(read(text, now()).unwrap(), expected.parse().unwrap(), "{text}");
        }
    }

    #[test]
    fn a_past_time_and_other_text_are_rejected_with_the_option_named() {
        for (text, expected) in [
            ("2026-11-25", "is in the past"),
            ("-3d", "is in the past"),
            ("0s", "is in the past"),
            ("soon", "--expires is \"soon\"; accepted are"),
            ("", "accepted are"),
            ("9999y", "too far away"),
        ] {
            let message = format!("{:#}", read(text, now()).unwrap_err());
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
