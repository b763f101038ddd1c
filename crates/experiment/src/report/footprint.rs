use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the measured cycles' electricity cost and emitted, by numbers that the admin or the submitter gave: there are no built-in
/// ones. Half-widths are the energy's alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Footprint {
    pub electricity_price_per_kwh: Option<GivenNumber>,
    /// What the price is in, such as `EUR`; null where nobody said.
    pub electricity_currency: Option<String>,
    /// Grams of CO2 equivalent for a kilowatt-hour.
    pub grid_intensity_g_per_kwh: Option<GivenNumber>,
    /// Power usage effectiveness; null where the facility's own use is not in the figures.
    pub pue: Option<GivenNumber>,
    /// `total_energy_j` in kilowatt-hours, times `pue` where that is given.
    pub energy_kwh: Option<f64>,
    /// Half-width of `energy_kwh`.
    pub energy_uncertainty_kwh: Option<f64>,
    /// `energy_kwh` times the price, in `electricity_currency`.
    pub cost: Option<f64>,
    /// Half-width of `cost`.
    pub cost_uncertainty: Option<f64>,
    /// `cost` for 1,000 answered requests.
    pub cost_per_1000_requests: Option<f64>,
    /// `energy_kwh` times the intensity, in grams of CO2 equivalent.
    pub carbon_g: Option<f64>,
    /// Half-width of `carbon_g`.
    pub carbon_uncertainty_g: Option<f64>,
    /// `carbon_g` for 1,000 answered requests.
    pub carbon_g_per_1000_requests: Option<f64>,
}

/// A number, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GivenNumber {
    /// The number, in the unit that its name has.
    pub value: f64,
    pub given_by: Giver,
}

/// Who gave a number.
///
/// - `submission`: whoever submitted the experiment
/// - `server`: the admin of the server that ran it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Giver {
    Submission,
    Server,
}

/// The numbers that cost and carbon are computed by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    pub electricity_price_per_kwh: Option<GivenNumber>,
    pub electricity_currency: Option<String>,
    pub grid_intensity_g_per_kwh: Option<GivenNumber>,
    pub pue: Option<GivenNumber>,
}
