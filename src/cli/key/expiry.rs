use anyhow::{Context as _, bail};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use joulemark_measurement::quoted;

/// A moment, a day (its beginning, UTC), or a time from `now`.
pub fn read(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Ok(day) = text.parse::<Date>() {
        day.to_zoned_datetime(TimeZone::UTC)?.timestamp()
    } else {
        let span: Span = text.parse().map_err(|_| {
            anyhow::anyhow!(
                "--expires is {text}; accepted are a time such as 90d, 6months or 12h, a day such as 2027-01-31, and \
                 a moment such as 2027-01-31T12:00:00Z",
                text = quoted(&text)
            )
        })?;
        // Days and months have no fixed length but on a calendar.
        now.to_zoned_datetime(TimeZone::UTC)
            .checked_add(span)
            .with_context(|| format!("--expires {text} is too far away", text = quoted(&text)))?
            .timestamp()
    };
    if at <= now {
        bail!("--expires {text} is {at}, which is past", text = quoted(&text));
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
    fn a_time_a_day_and_a_moment_are_read() {
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
    fn what_is_past_or_no_time_is_refused_by_name() {
        for (text, expected) in [
            ("2026-11-25", "is past"),
            ("-3d", "is past"),
            ("0s", "is past"),
            ("soon", "--expires is \"soon\"; accepted are"),
            ("", "accepted are"),
            ("9999y", "too far away"),
        ] {
            let message = format!("{:#}", read(text, now()).unwrap_err());
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
