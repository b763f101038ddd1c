//! Warnings of a sweep's results, counted by code.

use serde::Serialize;
use utoipa::ToSchema;

use joulemark_experiment::{ExperimentId, Warning, WarningCode};

/// A kind of warning that results of a sweep have.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SweepWarning {
    pub code: WarningCode,
    /// Number of completed experiments whose results have this warning.
    pub experiments: u32,
    /// Message of the first of these experiments.
    pub message: String,
}

/// Numbers of experiments by warning code. Holds one message for each code.
#[derive(Debug, Default)]
pub struct WarningCounts(Vec<(ExperimentId, SweepWarning)>);

impl WarningCounts {
    /// Adds the warnings of one result. Warnings of unknown metrics are omitted, since the table shows these as null.
    pub fn add(&mut self, experiment: ExperimentId, warnings: Vec<Warning>) {
        let mut added: Vec<WarningCode> = vec![WarningCode::MetricUnknown];
        for warning in warnings {
            if added.contains(&warning.code) {
                continue;
            }
            added.push(warning.code);
            let known = self.0.iter_mut().find(|(_, known)| known.code == warning.code);
            let Some((first, known)) = known else {
                let (code, message) = (warning.code, warning.message);
                self.0.push((
                    experiment,
                    SweepWarning {
                        code,
                        experiments: 1,
                        message,
                    },
                ));
                continue;
            };
            known.experiments += 1;
            if experiment < *first {
                (*first, known.message) = (experiment, warning.message);
            }
        }
    }

    /// Returns the warnings, those of most experiments first.
    pub fn into_list(self) -> Vec<SweepWarning> {
        let mut list: Vec<_> = self.0.into_iter().map(|(_, warning)| warning).collect();
        list.sort_by_key(|warning| std::cmp::Reverse(warning.experiments));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_counted_once_per_experiment_with_the_first_experiments_message() {
        let warning = |code, message: &str| Warning {
            code,
            message: message.to_owned(),
        };
        let mut ids = [ExperimentId::generate(), ExperimentId::generate()];
        ids.sort();
        let mut counts = WarningCounts::default();
        counts.add(ids[1], vec![warning(WarningCode::ShortWindow, "late")]);
        counts.add(
            ids[0],
            vec![
                warning(WarningCode::MetricUnknown, "gpu_energy_j: no GPU was leased"),
                warning(WarningCode::EnergyEstimated, "a"),
                warning(WarningCode::ShortWindow, "early"),
                warning(WarningCode::EnergyEstimated, "b"),
            ],
        );
        let list = counts.into_list();
        let found: Vec<_> = list
            .iter()
            .map(|of| (of.code, of.experiments, of.message.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (WarningCode::ShortWindow, 2, "early"),
                (WarningCode::EnergyEstimated, 1, "a")
            ]
        );
    }
}
