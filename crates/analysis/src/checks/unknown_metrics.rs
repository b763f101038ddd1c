use serde::Serialize;
use serde_json::Value;

use super::warning::warning;
use crate::Aggregate;
use joulemark_experiment::{Spec, Warning, WarningCode};
use joulemark_measurement::{BaselineKind, EnergyDomain};

/// One warning for every metric of the aggregate that is null, with the reason.
pub fn check(spec: &Spec, aggregate: &Aggregate) -> Vec<Warning> {
    let keys = null_keys(&aggregate.inference)
        .into_iter()
        .chain(null_keys(&aggregate.energy))
        .chain(null_keys(&aggregate.compute))
        .chain(null_keys(&aggregate.efficiency));
    keys.map(|key| {
        warning(
            WarningCode::MetricUnknown,
            format!("{key}: {}", reason(&key, spec, aggregate)),
        )
    })
    .collect()
}

/// Asked of the JSON that is served, so that no key can be forgotten here.
fn null_keys(group: &impl Serialize) -> Vec<String> {
    match serde_json::to_value(group) {
        Ok(Value::Object(keys)) => keys
            .into_iter()
            .filter(|(_, value)| value.is_null())
            .map(|(key, _)| key)
            .collect(),
        _ => Vec::new(),
    }
}

fn reason(key: &str, spec: &Spec, aggregate: &Aggregate) -> String {
    let (inference, energy) = (&aggregate.inference, &aggregate.energy);
    match key {
        "total_tokens" | "input_tokens" | "output_tokens" | "inference_time_sec" | "duration_sec" => {
            "nothing was measured".to_owned()
        }
        "tokens_per_second" => "a rank's window has no length".to_owned(),
        "latency_per_token_ms" if inference.tokens_per_second.is_some() => "no token was generated".to_owned(),
        "latency_per_token_ms" => "tokens_per_second is unknown".to_owned(),
        "mean_ttft_ms" => "no request has the time of a first token".to_owned(),
        "mean_tpot_ms" | "median_itl_ms" | "p99_itl_ms" => "no request has the times of two tokens".to_owned(),
        "total_energy_j" if !spec.gpus.is_empty() && energy.gpu_energy_j.is_none() => {
            "gpu_energy_j is unknown, and without it the total would mislead".to_owned()
        }
        "total_energy_j" => "none of its parts is known".to_owned(),
        "gpu_energy_j" | "gpu_power_w" if spec.gpus.is_empty() => "no GPU was leased".to_owned(),
        "gpu_energy_j" => unread(EnergyDomain::Gpu, aggregate),
        "cpu_energy_j" if energy.host_cpu_energy_j.is_some() => share_unknown("CPU"),
        "cpu_energy_j" | "host_cpu_energy_j" => unread(EnergyDomain::Package, aggregate),
        "host_idle_energy_j" | "host_other_energy_j" if energy.host_cpu_energy_j.is_none() => {
            "host_cpu_energy_j is unknown".to_owned()
        }
        "host_idle_energy_j" => no_bare_baseline(aggregate),
        "host_other_energy_j" => "CPU time of the host is unknown".to_owned(),
        "dram_energy_j" if energy.host_dram_energy_j.is_some() => share_unknown("memory"),
        "dram_energy_j" | "host_dram_energy_j" => unread(EnergyDomain::Dram, aggregate),
        "cpu_time_share" => "CPU time of the experiment or of the host is unknown".to_owned(),
        "flops_total" | "flops_method" | "flops_confidence" | "macs_total" | "flops_two_params_tokens" => {
            "the model's FLOPs could not be counted".to_owned()
        }
        "flops_prefill" | "flops_decode" | "flops_causal_total" | "flops_elementwise" => {
            "the model's operators are not known".to_owned()
        }
        "bytes_read_total" | "bytes_read_decode" => "the types of the model's weights are not known".to_owned(),
        "bytes_per_token" if aggregate.compute.bytes_read_decode.is_some() => "no request has a decode step".to_owned(),
        "bytes_per_token" => "bytes_read_decode is unknown".to_owned(),
        "roofline" if spec.gpus.is_empty() => "no peak rates of this CPU are known".to_owned(),
        "roofline" => "no peak rates of these devices at this precision are known".to_owned(),
        _ => missing_part(key, aggregate),
    }
}

fn share_unknown(of: &str) -> String {
    format!("the experiment's share of the host's {of} energy is unknown")
}

fn no_bare_baseline(aggregate: &Aggregate) -> String {
    let bare = aggregate
        .energy
        .baselines
        .iter()
        .find(|baseline| baseline.kind == BaselineKind::Bare);
    let why = bare
        .and_then(|bare| bare.note.as_deref())
        .unwrap_or("the host's rest was not looked at");
    format!("there is no idle baseline of the CPU: {why}")
}

/// Why a domain's sources gave nothing, in their own words where they have any.
fn unread(domain: EnergyDomain, aggregate: &Aggregate) -> String {
    let sources = aggregate.energy.sources.iter().filter(|source| source.domain == domain);
    let silent: Vec<String> = sources
        .filter(|source| source.energy_j.is_none())
        .map(|source| {
            let name = source
                .gpu_uuid
                .as_deref()
                .or(source.zone_path.as_deref())
                .unwrap_or("the estimate");
            format!("{name}: {}", source.note.as_deref().unwrap_or("gave no energy"))
        })
        .collect();
    match (silent.is_empty(), domain) {
        (false, _) => silent.join("; "),
        (true, EnergyDomain::Gpu) => "a GPU's energy could not be read".to_owned(),
        (true, EnergyDomain::Dram) => "no source of memory energy was read on this host".to_owned(),
        (true, _) => "no source of CPU energy was read on this host".to_owned(),
    }
}

/// For a ratio: its first unknown part, or else its divisor, which is then 0.
fn missing_part(key: &str, aggregate: &Aggregate) -> String {
    let (inference, energy, compute) = (&aggregate.inference, &aggregate.energy, &aggregate.compute);
    let total_tokens = ("total_tokens", inference.total_tokens.is_some());
    let input_tokens = ("input_tokens", inference.input_tokens.is_some());
    let output_tokens = ("output_tokens", inference.output_tokens.is_some());
    let total_energy = ("total_energy_j", energy.total_energy_j.is_some());
    let duration = ("duration_sec", energy.duration_sec.is_some());
    let flops = ("flops_total", compute.flops_total.is_some());
    let parts: &[(&str, bool)] = match key {
        "gpu_power_w" => &[("gpu_energy_j", energy.gpu_energy_j.is_some()), duration],
        "cpu_power_w" => &[("cpu_energy_j", energy.cpu_energy_j.is_some()), duration],
        "flops_per_second" => &[flops, duration],
        "tokens_per_joule" => &[total_tokens, total_energy],
        "joules_per_token" => &[total_energy, total_tokens],
        "joules_per_output_token" => &[total_energy, output_tokens],
        "joules_per_input_token" => &[total_energy, input_tokens],
        "effective_throughput" => &[total_tokens, duration],
        "arithmetic_intensity" => &[flops, ("bytes_read_total", compute.bytes_read_total.is_some())],
        "flop_per_joule" => &[flops, total_energy],
        "flop_per_token" => &[flops, total_tokens],
        "watts_per_token_per_second" => &[total_energy, duration, output_tokens],
        _ => return "it was not measured".to_owned(),
    };
    match (parts.iter().find(|(_, known)| !known), parts.last()) {
        (Some((part, _)), _) => format!("{part} is unknown"),
        (None, Some((divisor, _))) => format!("{divisor} is 0"),
        (None, None) => "it was not measured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate;
    use crate::fixtures::{energy, host_cycle, package_source, rank_cycle, spec};
    use joulemark_measurement::{EnergyMetrics, SourceReading};

    fn messages(warnings: &[Warning]) -> Vec<&str> {
        warnings.iter().map(|warning| warning.message.as_str()).collect()
    }

    #[test]
    fn every_metric_has_a_reason_of_its_own_when_nothing_is_known() {
        let warnings = check(&spec(1, 1), &aggregate(&[], &[]));
        assert_eq!(warnings.len(), 10 + 12 + 15 + 8);
        for message in messages(&warnings) {
            assert!(!message.ends_with("it was not measured"), "{message}");
        }
    }

    #[test]
    fn every_metric_has_a_reason_of_its_own_when_everything_is_zero() {
        let mut cycles = [rank_cycle(0, 0, 1.0, 1.0)];
        cycles[0].requests.clear();
        cycles[0].inference = crate::inference_of(&[], &cycles[0].window);
        cycles[0].energy = energy(Some(0.0), Some(0.0), Some(0.0));
        let warnings = check(&spec(1, 1), &aggregate(&cycles, &[host_cycle(0, 0.0, 0.0)]));
        assert!(messages(&warnings).contains(&"tokens_per_joule: total_energy_j is 0"));
        assert!(messages(&warnings).contains(&"effective_throughput: duration_sec is 0"));
        for message in messages(&warnings) {
            assert!(!message.ends_with("it was not measured"), "{message}");
        }
    }

    #[test]
    fn a_source_that_gave_nothing_speaks_for_itself() {
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
    }

    #[test]
    fn a_leased_gpu_that_nobody_reads_takes_the_total_along() {
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
    fn host_energy_without_a_share_is_told_from_no_energy() {
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
