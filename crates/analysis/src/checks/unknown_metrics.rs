use super::warning::warning;
use crate::metrics::{Figures, Known, Metric};
use joulemark_experiment::{Spec, Warning, WarningCode};

/// Returns a warning for each null metric of the table, with the reason.
pub fn check(metrics: &[Metric], spec: &Spec, figures: Figures<'_>) -> Vec<Warning> {
    let unknown = metrics.iter().filter(|metric| !metric.is_known(figures));
    unknown
        .filter_map(|metric| {
            let known = Known {
                metric,
                metrics,
                spec,
                figures,
            };
            let message = format!("{}: {}", metric.name, metric.why_null?(&known));
            Some(warning(WarningCode::MetricUnknown, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{energy, host_cycle, package_source, rank_cycle, spec};
    use crate::{Aggregate, aggregate, metrics};
    use joulemark_measurement::{EnergyMetrics, SourceReading};

    fn check(spec: &Spec, aggregate: &Aggregate) -> Vec<Warning> {
        super::check(metrics::all(), spec, aggregate.into())
    }

    fn messages(warnings: &[Warning]) -> Vec<&str> {
        warnings.iter().map(|warning| warning.message.as_str()).collect()
    }

    #[test]
    fn every_metric_has_a_reason_of_its_own_when_nothing_is_known() {
        let warnings = check(&spec(1, 1), &aggregate(&[], &[]));
        assert_eq!(warnings.len(), 24 + 12 + 15 + 10);
        for message in messages(&warnings) {
            assert!(!message.ends_with("it was not measured"), "{message}");
        }
    }

    #[test]
    fn every_metric_has_a_reason_of_its_own_when_everything_is_zero() {
        let mut cycles = [rank_cycle(0, 0, 1.0, 1.0)];
        cycles[0].requests.clear();
        cycles[0].inference = crate::inference_of(&[], &[], &cycles[0].window);
        cycles[0].energy = energy(Some(0.0), Some(0.0), Some(0.0));
        let warnings = check(&spec(1, 1), &aggregate(&cycles, &[host_cycle(0, 0.0, 0.0)]));
        assert!(messages(&warnings).contains(&"tokens_per_joule: total_energy_j is 0"));
        assert!(messages(&warnings).contains(&"effective_throughput: duration_sec is 0"));
        for message in messages(&warnings) {
            assert!(!message.ends_with("it was not measured"), "{message}");
        }
    }

    #[test]
    fn the_reason_is_the_note_of_a_source_without_energy() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].energy = energy(None, None, Some(1.0));
        let mut host = host_cycle(0, 80.0, 1.0);
        host.energy.host_cpu_energy_j = None;
        host.energy.sources = vec![SourceReading {
            energy_j: None,
            note: Some("counter went back".to_owned()),
            ..package_source(0.0)
        }];
        let warnings = check(&spec(1, 1), &aggregate(&cycles, &[host]));
        assert!(
            messages(&warnings).contains(&"cpu_energy_j: intel-rapl:0: counter went back"),
            "{warnings:?}"
        );
        assert!(
            messages(&warnings).contains(&"cpu_power_w: cpu_energy_j is unknown"),
            "{warnings:?}"
        );
        let no_total = "total_energy_j: host_cpu_energy_j is unknown, and without it the total would mislead";
        assert!(messages(&warnings).contains(&no_total), "{warnings:?}");
    }

    #[test]
    fn without_the_energy_of_a_leased_gpu_there_is_no_total() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].gpus = vec!["GPU-a".to_owned()];
        let mut leased = spec(1, 1);
        leased.gpus = vec!["GPU-a".to_owned()];
        let warnings = check(&leased, &aggregate(&cycles, &[host_cycle(0, 80.0, 1.0)]));
        let messages = messages(&warnings);
        assert!(
            messages.contains(&"gpu_energy_j: a GPU's energy could not be read"),
            "{messages:?}"
        );
        assert!(
            messages.contains(&"gpu_power_w: gpu_energy_j is unknown"),
            "{messages:?}"
        );
        assert!(
            messages.contains(&"joules_per_token: total_energy_j is unknown"),
            "{messages:?}"
        );
    }

    #[test]
    fn an_unknown_share_is_distinguished_from_unknown_host_energy() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        cycles[0].energy = EnergyMetrics {
            cpu_time_share: None,
            ..energy(None, None, None)
        };
        let warnings = check(&spec(1, 1), &aggregate(&cycles, &[host_cycle(0, 80.0, 1.0)]));
        let expected = "cpu_energy_j: the experiment's share of the host's CPU energy is unknown";
        assert!(messages(&warnings).contains(&expected), "{warnings:?}");
    }
}
