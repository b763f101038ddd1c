use super::option::section;
use joulemark_experiment::Spec;
use joulemark_experiment::report::{GivenNumber, Giver, Tariff};
use joulemark_measurement::quoted;

section! {
    /// What electricity costs and emits here, for cost and carbon of results.
    pub struct Footprint with FootprintFlags {
        /// Price of a kilowatt-hour, a number of 0 or more as a text [default: none].
        ///
        /// A submission's own goes before it, as before the three below. Empty: no cost is computed.
        electricity_price_per_kwh: String = "";

        /// What the price is in, such as EUR [default: none].
        electricity_currency: String = "";

        /// Grams of CO2 equivalent for a kilowatt-hour, a number of 0 or more as a text [default: none].
        ///
        /// Empty: no carbon is computed.
        grid_intensity_g_per_kwh: String = "";

        /// Power usage effectiveness of the facility, a number of 1 or more as a text [default: none].
        ///
        /// Empty: the facility's own use is in no figure.
        pue: String = "";
    }
}

impl Footprint {
    /// What the types cannot say. Each message names the option and what is accepted.
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

    /// Returns the numbers for an experiment: its own, or else the server's.
    pub fn tariff(&self, spec: &Spec) -> Tariff {
        let of = |own: Option<f64>, servers: &str| {
            let given = |given_by| move |value| GivenNumber { value, given_by };
            own.map(given(Giver::Submission))
                .or_else(|| number(servers).map(given(Giver::Server)))
        };
        let price = of(spec.electricity_price_per_kwh, &self.electricity_price_per_kwh);
        // A currency goes with its price.
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
    fn a_number_that_is_none_or_too_small_is_refused_by_name() {
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
