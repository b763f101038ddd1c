use super::sums::ratio;
use joulemark_experiment::report::EfficiencyMetrics;
use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics};

const JOULES_PER_WH: f64 = 3600.0;

/// Computes the ratios of sums; each is `None` when a part is unknown or the divisor is 0.
pub fn efficiency(inference: &InferenceMetrics, energy: &EnergyMetrics, compute: &ComputeMetrics) -> EfficiencyMetrics {
    let total_tokens = inference.total_tokens.map(|tokens| tokens as f64);
    let input_tokens = inference.input_tokens.map(|tokens| tokens as f64);
    let output_tokens = inference.output_tokens.map(|tokens| tokens as f64);
    let responses = inference.answered_requests.map(|requests| requests as f64);
    let joules_per_response = ratio(energy.total_energy_j, responses);
    let power_w = ratio(energy.total_energy_j, energy.duration_sec);
    EfficiencyMetrics {
        tokens_per_joule: ratio(total_tokens, energy.total_energy_j),
        joules_per_token: ratio(energy.total_energy_j, total_tokens),
        joules_per_output_token: ratio(energy.total_energy_j, output_tokens),
        joules_per_input_token: ratio(energy.total_energy_j, input_tokens),
        effective_throughput: ratio(total_tokens, energy.duration_sec),
        flop_per_joule: ratio(compute.flops_total, energy.total_energy_j),
        flop_per_token: ratio(compute.flops_total, total_tokens),
        watts_per_token_per_second: ratio(power_w, ratio(output_tokens, energy.duration_sec)),
        joules_per_response,
        wh_per_1000_requests: joules_per_response.map(wh_per_1000),
    }
}

/// Converts the joules of one request to the watt-hours of a thousand.
fn wh_per_1000(joules: f64) -> f64 {
    joules * 1000.0 / JOULES_PER_WH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> (InferenceMetrics, EnergyMetrics, ComputeMetrics) {
        let inference = InferenceMetrics {
            total_tokens: Some(200),
            input_tokens: Some(150),
            output_tokens: Some(50),
            answered_requests: Some(5),
            ..InferenceMetrics::default()
        };
        let energy = EnergyMetrics {
            total_energy_j: Some(300.0),
            duration_sec: Some(10.0),
            ..EnergyMetrics::default()
        };
        let compute = ComputeMetrics {
            flops_total: Some(6e12),
            ..ComputeMetrics::default()
        };
        (inference, energy, compute)
    }

    #[test]
    fn every_ratio_is_what_the_methodology_says() {
        let (inference, energy, compute) = parts();
        let expected = EfficiencyMetrics {
            tokens_per_joule: Some(200.0 / 300.0),
            joules_per_token: Some(1.5),
            joules_per_output_token: Some(6.0),
            joules_per_input_token: Some(2.0),
            effective_throughput: Some(20.0),
            flop_per_joule: Some(2e10),
            flop_per_token: Some(3e10),
            // 30 W over 5 output tokens/s.
            watts_per_token_per_second: Some(6.0),
            joules_per_response: Some(60.0),
            // 60 kJ are 50 / 3 Wh.
            wh_per_1000_requests: Some(60_000.0 / 3600.0),
        };
        assert_eq!(efficiency(&inference, &energy, &compute), expected);
    }

    #[test]
    fn a_zero_divisor_gives_null_and_leaves_the_other_ratios() {
        let (inference, energy, compute) = parts();
        let silent = InferenceMetrics {
            output_tokens: Some(0),
            total_tokens: Some(150),
            ..inference
        };
        let ratios = efficiency(&silent, &energy, &compute);
        assert_eq!(ratios.joules_per_output_token, None);
        assert_eq!(ratios.watts_per_token_per_second, None);
        assert_eq!(ratios.joules_per_token, Some(2.0));
    }

    #[test]
    fn unknown_energy_leaves_only_what_needs_none() {
        let (inference, energy, compute) = parts();
        let ratios = efficiency(
            &inference,
            &EnergyMetrics {
                total_energy_j: None,
                ..energy
            },
            &compute,
        );
        let expected = EfficiencyMetrics {
            effective_throughput: Some(20.0),
            flop_per_token: Some(3e10),
            ..EfficiencyMetrics::default()
        };
        assert_eq!(ratios, expected);
    }
}
