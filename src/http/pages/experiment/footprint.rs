//! Cost and carbon of an experiment.

use crate::number;
use joulemark_experiment::report::{Footprint, GivenNumber, Giver, Report};

/// Returns the cost and the emissions of the electricity; empty without a tariff.
pub fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let Some(footprint) = report.footprint.as_deref() else {
        return Vec::new();
    };
    let all = [
        (
            "Electricity",
            with_half(footprint.energy_kwh, footprint.energy_uncertainty_kwh, "kWh"),
        ),
        (
            "Cost",
            with_half(footprint.cost, footprint.cost_uncertainty, currency(footprint)),
        ),
        (
            "Cost of 1,000 requests",
            with_half(footprint.cost_per_1000_requests, None, currency(footprint)),
        ),
        (
            "CO2 equivalent",
            with_half(footprint.carbon_g, footprint.carbon_uncertainty_g, "g"),
        ),
        (
            "CO2 equivalent of 1,000 requests",
            with_half(footprint.carbon_g_per_1000_requests, None, "g"),
        ),
        (
            "Price",
            given(footprint.electricity_price_per_kwh, currency(footprint), "per kWh"),
        ),
        ("Grid", given(footprint.grid_intensity_g_per_kwh, "g", "per kWh")),
        ("Power usage effectiveness", given(footprint.pue, "", "")),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn currency(footprint: &Footprint) -> &str {
    footprint.electricity_currency.as_deref().unwrap_or_default()
}

fn with_half(value: Option<f64>, half_width: Option<f64>, unit: &str) -> Option<String> {
    let value = value?;
    let interval = half_width.map(|half_width| (value - half_width, value + half_width));
    Some(
        format!("{} {unit}", number::with_interval(value, interval))
            .trim_end()
            .to_owned(),
    )
}

fn given(number: Option<GivenNumber>, unit: &str, per: &str) -> Option<String> {
    let number = number?;
    let giver = match number.given_by {
        Giver::Submission => "given with the experiment",
        Giver::Server => "given by this server's admin",
    };
    let value = format!("{} {unit} {per}", number.value);
    Some(format!(
        "{} ({giver})",
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    ))
}
