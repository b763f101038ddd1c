use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Cost and emissions of the electricity of the measured cycles, from figures that the admin or the submitter gave;
/// none are built in. Half-widths are the energy's alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Footprint {
    pub electricity_price_per_kwh: Option<GivenNumber>,
    /// Currency of the price, such as `EUR`; null where none was given.
    pub electricity_currency: Option<String>,
    /// Grams of CO2 equivalent per kilowatt-hour.
    pub grid_intensity_g_per_kwh: Option<GivenNumber>,
    /// Power usage effectiveness; null where the facility's own consumption is not included.
    pub pue: Option<GivenNumber>,
    /// `total_energy_j` in kilowatt-hours, multiplied by `pue` where that is given.
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

/// A figure and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GivenNumber {
    /// The figure, in the unit of its field's name.
    pub value: f64,
    pub given_by: Giver,
}

/// The origin of a figure.
///
/// - `submission`: the submitter of the experiment
/// - `server`: the admin of the server that ran it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Giver {
    Submission,
    Server,
}

/// The figures that cost and carbon are computed from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    pub electricity_price_per_kwh: Option<GivenNumber>,
    pub electricity_currency: Option<String>,
    pub grid_intensity_g_per_kwh: Option<GivenNumber>,
    pub pue: Option<GivenNumber>,
}
