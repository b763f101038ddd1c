//! Options on the cost and the carbon footprint of electricity.

use super::option::section;
use joulemark_experiment::Spec;
use joulemark_experiment::report::{GivenNumber, Giver, Tariff};
use joulemark_measurement::quoted;

section! {
    /// Price and emissions of electricity, from which results get cost and carbon.
    pub struct Footprint with FootprintFlags {
        /// Price of a kilowatt-hour, 0 or more [default: none].
        ///
        /// A submission's own value takes precedence, as for the three options below. Numbers are written as strings. If
        /// empty, no cost is computed.
        electricity_price_per_kwh: String = "";

        /// Currency of the price, e.g. EUR [default: none].
        electricity_currency: String = "";

        /// Grams of CO2 equivalent per kilowatt-hour, 0 or more [default: none].
        ///
        /// If empty, no carbon is computed.
        grid_intensity_g_per_kwh: String = "";

        /// Power usage effectiveness (PUE) of the facility, 1 or more [default: none].
        ///
        /// If empty, cost and carbon do not include the facility's overhead.
        pue: String = "";
    }
}

impl Footprint {
    /// Returns the problems of the options. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let numbers = [
            ("electricity_price_per_kwh", &self.electricity_price_per_kwh, 0.0),
            ("grid_intensity_g_per_kwh", &self.grid_intensity_g_per_kwh, 0.0),
            ("pue", &self.pue, 1.0),
        ];
        let problem = |(name, text, least): (&str, &String, f64)| {
            let is_good = text.is_empty() || number(text).is_some_and(|number| number >= least);
            (!is_good).then(|| format!("{name} is {}; accepted is a number of {least} or more", quoted(text)))
        };
        numbers.into_iter().filter_map(problem).collect()
    }

    /// Returns the tariff of an experiment: its own values, or else the server's.
    pub fn tariff(&self, spec: &Spec) -> Tariff {
        let of = |own: Option<f64>, servers: &str| {
            let given = |given_by| move |value| GivenNumber { value, given_by };
            own.map(given(Giver::Submission))
                .or_else(|| number(servers).map(given(Giver::Server)))
        };
        let price = of(spec.electricity_price_per_kwh, &self.electricity_price_per_kwh);
        // The server's currency applies only to the server's price.
        let servers_currency = Some(&self.electricity_currency)
            .filter(|currency| !currency.is_empty() && spec.electricity_price_per_kwh.is_none());
        Tariff {
            electricity_currency: spec
                .electricity_currency
                .as_ref()
                .or(servers_currency)
                .filter(|_| price.is_some())
                .cloned(),
            electricity_price_per_kwh: price,
            grid_intensity_g_per_kwh: of(spec.grid_intensity_g_per_kwh, &self.grid_intensity_g_per_kwh),
            pue: of(spec.pue, &self.pue),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(price: &str, pue: &str) -> Footprint {
        Footprint {
            electricity_price_per_kwh: price.to_owned(),
            electricity_currency: "EUR".to_owned(),
            grid_intensity_g_per_kwh: String::new(),
            pue: pue.to_owned(),
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_or_too_small_is_rejected_with_its_name() {
        assert!(of("0.31", "1.2").problems().is_empty() && of("", "").problems().is_empty());
        for (price, pue, name) in [
            ("-1", "", "electricity_price_per_kwh"),
            ("NaN", "", "electricity_price_per_kwh"),
            ("cheap", "", "electricity_price_per_kwh"),
            ("", "0.9", "pue"),
            ("", "inf", "pue"),
        ] {
            let problems = of(price, pue).problems();
            assert!(problems.len() == 1 && problems[0].starts_with(name), "{problems:?}");
        }
    }
}
