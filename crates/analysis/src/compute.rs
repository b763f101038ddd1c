use std::collections::BTreeSet;

use super::group::{Group, duration_sec};
use super::sums::{ratio, whole};
use joulemark_measurement::{ComputeMetrics, Roofline};

/// Sums FLOPs and bytes, and takes the method and confidence of the least certain part.
pub(super) fn aggregate(groups: &[Group<'_>]) -> ComputeMetrics {
    let parts = || groups.iter().flat_map(|group| &group.ranks).map(|rank| &rank.compute);
    let sum = |part: fn(&ComputeMetrics) -> Option<f64>| whole(parts().map(part));
    let notes: BTreeSet<&String> = parts().flat_map(|part| &part.flops_notes).collect();
    let flops_notes = notes.into_iter().cloned().collect();
    let flops_total = sum(|part| part.flops_total);
    if flops_total.is_none() {
        return ComputeMetrics {
            flops_notes,
            ..ComputeMetrics::default()
        };
    }
    let least_sure = parts().min_by_key(|part| part.flops_confidence);
    let bytes_read_total = sum(|part| part.bytes_read_total);
    let bytes_read_decode = sum(|part| part.bytes_read_decode);
    let decode_tokens = sum(|part| ratio(part.bytes_read_decode, part.bytes_per_token));
    ComputeMetrics {
        flops_total,
        flops_prefill: sum(|part| part.flops_prefill),
        flops_decode: sum(|part| part.flops_decode),
        flops_causal_total: sum(|part| part.flops_causal_total),
        flops_elementwise: sum(|part| part.flops_elementwise),
        macs_total: sum(|part| part.macs_total),
        flops_two_params_tokens: sum(|part| part.flops_two_params_tokens),
        flops_per_second: ratio(flops_total, duration_sec(groups)),
        flops_method: least_sure.and_then(|part| part.flops_method.clone()),
        flops_confidence: least_sure.and_then(|part| part.flops_confidence),
        bytes_read_total,
        bytes_read_decode,
        bytes_per_token: ratio(bytes_read_decode, decode_tokens),
        arithmetic_intensity: ratio(flops_total, bytes_read_total),
        roofline: roofline(groups, flops_total, bytes_read_total),
        flops_notes,
    }
}

/// Combines the rooflines of ranks: the peaks of the devices of one cycle, and the sum over cycles of the slowest
/// rank's shortest time. `None` where a rank has no roofline or the devices differ.
fn roofline(groups: &[Group<'_>], flops_total: Option<f64>, bytes_total: Option<f64>) -> Option<Roofline> {
    let of_cycle = |group: &Group<'_>| -> Option<(Roofline, Option<f64>)> {
        let lines: Option<Vec<&Roofline>> = group.ranks.iter().map(|rank| rank.compute.roofline.as_ref()).collect();
        let lines = lines?;
        let first = *lines.first()?;
        let alike = |line: &&Roofline| line.device == first.device && line.precision == first.precision;
        lines.iter().all(alike).then_some(())?;
        let least = lines.iter().map(|line| line.least_time_sec);
        let slowest = least.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
        let devices = lines.iter().map(|line| line.devices).sum();
        Some((
            Roofline {
                devices,
                ..first.clone()
            },
            slowest,
        ))
    };
    let cycles: Option<Vec<_>> = groups.iter().map(of_cycle).collect();
    let cycles = cycles?;
    let (first, _) = cycles.first()?;
    let same = |(line, _): &(Roofline, Option<f64>)| line.devices == first.devices && line.device == first.device;
    cycles.iter().all(same).then_some(())?;
    let seconds = duration_sec(groups);
    let least_time_sec = whole(cycles.iter().map(|(_, least)| *least));
    let share = |amount: Option<f64>, peak: f64| {
        let rate = ratio(amount, seconds);
        ratio(rate, Some(peak * f64::from(first.devices)))
    };
    Some(Roofline {
        model_flops_utilization: share(flops_total, first.peak_flops_per_second),
        memory_bandwidth_utilization: share(bytes_total, first.peak_bytes_per_second),
        least_time_sec,
        roofline_share: ratio(least_time_sec, seconds),
        ..first.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rank_cycle;
    use crate::group::groups;
    use joulemark_measurement::Confidence;

    #[test]
    fn flops_are_summed_and_the_least_sure_method_is_named() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[1].compute = ComputeMetrics {
            flops_total: Some(1e9),
            flops_method: Some("parameter_estimate".to_owned()),
            flops_confidence: Some(Confidence::Low),
            flops_notes: vec!["by the name".to_owned()],
            ..ComputeMetrics::default()
        };
        let compute = aggregate(&groups(&cycles, &[]));
        assert_eq!(compute.flops_total, Some(5e9));
        assert_eq!(compute.flops_per_second, Some(1e9));
        assert_eq!(compute.flops_method.as_deref(), Some("parameter_estimate"));
        assert_eq!(compute.flops_confidence, Some(Confidence::Low));
        assert_eq!(compute.flops_notes, ["by the name"]);
        // One rank's bytes are unknown, so the sum's are.
        assert_eq!((compute.bytes_read_total, compute.arithmetic_intensity), (None, None));
    }

    #[test]
    fn bytes_of_a_token_are_those_of_all_tokens_over_their_number() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        // Two tokens at 0.5 GB and six at 0.25 GB.
        cycles[1].compute.bytes_read_decode = Some(1.5e9);
        cycles[1].compute.bytes_per_token = Some(2.5e8);
        let compute = aggregate(&groups(&cycles, &[]));
        assert_eq!(compute.bytes_per_token, Some(2.5e9 / 8.0));
        assert_eq!(compute.arithmetic_intensity, Some(2.0));
    }

    #[test]
    fn flops_unknown_for_one_rank_are_unknown_for_all() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[1].compute = ComputeMetrics::default();
        assert_eq!(aggregate(&groups(&cycles, &[])), ComputeMetrics::default());
    }

    fn line(least: f64) -> Option<Roofline> {
        Some(Roofline {
            device: "a GPU".to_owned(),
            devices: 1,
            precision: "f16".to_owned(),
            peak_flops_per_second: 1e10,
            peak_bytes_per_second: 4e9,
            source: "a test".to_owned(),
            model_flops_utilization: None,
            memory_bandwidth_utilization: None,
            least_time_sec: Some(least),
            roofline_share: None,
        })
    }

    #[test]
    fn ranks_side_by_side_have_the_devices_of_both_and_the_slower_one_s_least_time() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[0].compute.roofline = line(1.0);
        cycles[1].compute.roofline = line(2.0);
        let roofline = aggregate(&groups(&cycles, &[])).roofline.unwrap();
        assert_eq!((roofline.devices, roofline.least_time_sec), (2, Some(2.0)));
        // 8 GFLOP and 4 GB in 5 s, of 2 x 10 GFLOP/s and 2 x 4 GB/s.
        assert_eq!(roofline.model_flops_utilization, Some(0.08));
        assert_eq!(roofline.memory_bandwidth_utilization, Some(0.1));
        assert_eq!(roofline.roofline_share, Some(0.4));
    }

    #[test]
    fn unlike_devices_have_no_roofline_together() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[0].compute.roofline = line(1.0);
        assert_eq!(aggregate(&groups(&cycles, &[])).roofline, None);
        cycles[1].compute.roofline = line(1.0).map(|line| Roofline {
            device: "another".to_owned(),
            ..line
        });
        assert_eq!(aggregate(&groups(&cycles, &[])).roofline, None);
    }
}
