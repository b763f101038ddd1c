use super::aggregate::Group;
use super::inference::duration_sec;
use super::sums::{ratio, whole};
use crate::measurement::ComputeMetrics;

/// FLOPs are summed; the method named is the least sure of those used.
pub(super) fn over(groups: &[Group<'_>]) -> ComputeMetrics {
    let parts = || groups.iter().flat_map(|group| &group.ranks).map(|rank| &rank.compute);
    let flops_total = whole(parts().map(|part| part.flops_total));
    if flops_total.is_none() {
        return ComputeMetrics::default();
    }
    let least_sure = parts().min_by_key(|part| part.flops_confidence);
    ComputeMetrics {
        flops_total,
        flops_per_second: ratio(flops_total, duration_sec(groups)),
        flops_method: least_sure.and_then(|part| part.flops_method.clone()),
        flops_confidence: least_sure.and_then(|part| part.flops_confidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::aggregate::groups;
    use crate::analysis::fixtures::rank_cycle;
    use crate::measurement::Confidence;

    #[test]
    fn flops_are_summed_and_the_least_sure_method_is_named() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[1].compute = ComputeMetrics {
            flops_total: Some(1e9),
            flops_method: Some("parameter_estimate".to_owned()),
            flops_confidence: Some(Confidence::Low),
            flops_per_second: Some(2e8),
        };
        let compute = over(&groups(&cycles, &[]));
        assert_eq!(compute.flops_total, Some(5e9));
        assert_eq!(compute.flops_per_second, Some(1e9));
        assert_eq!(compute.flops_method.as_deref(), Some("parameter_estimate"));
        assert_eq!(compute.flops_confidence, Some(Confidence::Low));
    }

    #[test]
    fn flops_unknown_for_one_rank_are_unknown_for_all() {
        let mut cycles = [rank_cycle(0, 0, 0.0, 4.0), rank_cycle(1, 0, 0.0, 5.0)];
        cycles[1].compute = ComputeMetrics::default();
        assert_eq!(over(&groups(&cycles, &[])), ComputeMetrics::default());
    }
}
