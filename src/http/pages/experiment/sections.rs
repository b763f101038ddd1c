//! The sections on a result, in the order of the page and of the report.

use askama::Template;

use super::checks::Checks;
use super::cycles::Cycles;
use super::energy::Energy;
use super::headline::Headline;
use super::latency::Latency;
use super::power::Power;
use super::ranks::Ranks;
use super::raw::Raw;
use super::requests::Requests;
use super::roofline::Roofline;
use crate::http::device_lines::Series;
use joulemark_experiment::report::Report;

/// Sections on a result.
#[derive(Template)]
#[template(path = "experiment/sections.html")]
pub struct Sections {
    headline: Headline,
    checks: Checks,
    power: Power,
    energy: Energy,
    latency: Latency,
    requests: Requests,
    roofline: Roofline,
    ranks: Ranks,
    cycles: Cycles,
}

/// Data that the sections show.
pub struct Measured<'a> {
    pub report: &'a Report,
    pub raw: &'a Raw,
    /// Power over time, or why there is none.
    pub series: Result<&'a Series, &'a String>,
    /// Whether the experiment was cancelled after it had finished a cycle.
    pub partial: bool,
    /// URL of the definitions of metrics, up to the name.
    pub figures: &'a str,
}

impl Sections {
    /// Creates all sections on a result.
    pub fn new(measured: &Measured<'_>) -> Self {
        let Measured {
            report,
            raw,
            series,
            partial,
            figures,
        } = *measured;
        let began = raw.ranks.iter().map(|rank| rank.window.start_monotonic_sec);
        let zero_sec = match series {
            Ok(series) => series.window.start_monotonic_sec,
            Err(_) => began.fold(f64::INFINITY, f64::min),
        };
        Self {
            headline: Headline::new(report, partial, figures),
            checks: Checks::of_result(&report.validation),
            power: Power::new(series, Some((report, raw))),
            energy: Energy::new(report, figures),
            latency: Latency::new(report, raw, figures),
            requests: Requests::new(report, raw, zero_sec),
            roofline: Roofline::new(report, figures),
            ranks: Ranks::new(report, raw),
            cycles: Cycles::new(report, figures),
        }
    }
}
