//! Cost and carbon emissions, computed only from numbers that the user gave.

use super::sums::ratio;
use joulemark_experiment::report::{Footprint, Tariff};
use joulemark_measurement::{EnergyMetrics, InferenceMetrics};

const JOULES_PER_KWH: f64 = 3.6e6;

/// Returns the cost and the emissions of the electricity; `None` where no number was given.
pub fn footprint(tariff: &Tariff, energy: &EnergyMetrics, inference: &InferenceMetrics) -> Option<Footprint> {
    let (price, intensity, pue) = (
        tariff.electricity_price_per_kwh,
        tariff.grid_intensity_g_per_kwh,
        tariff.pue,
    );
    if price.is_none() && intensity.is_none() && pue.is_none() {
        return None;
    }
    let in_kwh = |joules: f64| joules / JOULES_PER_KWH * pue.map_or(1.0, |pue| pue.value);
    let energy_kwh = energy.total_energy_j.map(in_kwh);
    let half_width_kwh = energy.total_energy_uncertainty_j.map(in_kwh);
    let thousands = inference.answered_requests.map(|requests| requests as f64 / 1000.0);
    let times = |kwh: Option<f64>, by: Option<joulemark_experiment::report::GivenNumber>| Some(kwh? * by?.value);
    let (cost, carbon_g) = (times(energy_kwh, price), times(energy_kwh, intensity));
    Some(Footprint {
        electricity_price_per_kwh: price,
        electricity_currency: tariff.electricity_currency.clone(),
        grid_intensity_g_per_kwh: intensity,
        pue,
        energy_kwh,
        energy_uncertainty_kwh: half_width_kwh,
        cost,
        cost_uncertainty: times(half_width_kwh, price),
        cost_per_1000_requests: ratio(cost, thousands),
        carbon_g,
        carbon_uncertainty_g: times(half_width_kwh, intensity),
        carbon_g_per_1000_requests: ratio(carbon_g, thousands),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulemark_experiment::report::{GivenNumber, Giver};

    fn given(value: f64) -> Option<GivenNumber> {
        let given_by = Giver::Server;
        Some(GivenNumber { value, given_by })
    }

    #[test]
    fn cost_and_carbon_follow_from_what_was_given_and_nothing_else() {
        let energy = EnergyMetrics {
            total_energy_j: Some(7.2e6),
            total_energy_uncertainty_j: Some(3.6e5),
            ..EnergyMetrics::default()
        };
        let inference = InferenceMetrics {
            answered_requests: Some(500),
            ..InferenceMetrics::default()
        };
        assert_eq!(footprint(&Tariff::default(), &energy, &inference), None);
        let tariff = Tariff {
            electricity_price_per_kwh: given(0.25),
            electricity_currency: Some("EUR".to_owned()),
            grid_intensity_g_per_kwh: given(400.0),
            pue: given(1.5),
        };
        let found = footprint(&tariff, &energy, &inference).unwrap();
        assert_eq!(
            (found.energy_kwh, found.cost, found.carbon_g),
            (Some(3.0), Some(0.75), Some(1200.0))
        );
        assert_eq!(
            (found.cost_per_1000_requests, found.carbon_g_per_1000_requests),
            (Some(1.5), Some(2400.0))
        );
        assert!((found.carbon_uncertainty_g.unwrap() - 60.0).abs() < 1e-9);
        let of_carbon = Tariff {
            grid_intensity_g_per_kwh: given(400.0),
            ..Tariff::default()
        };
        let found = footprint(&of_carbon, &energy, &inference).unwrap();
        assert_eq!((found.cost, found.carbon_g, found.pue), (None, Some(800.0), None));
        let unknown = footprint(&of_carbon, &EnergyMetrics::default(), &inference).unwrap();
        assert_eq!((unknown.energy_kwh, unknown.carbon_g), (None, None));
    }
}
