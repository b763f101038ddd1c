use super::metric::{Better, Group, Metric, Read};

/// How near a run came to its devices' peaks. The object they stand in is warned of, they are not.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "model_flops_utilization",
        group: Group::Roofline,
        unit: "",
        better: Better::Higher,
        headline: None,
        about: "MFU: `flops_per_second` over the devices' peak, 0 to 1.",
        description: "Model FLOPs utilisation (MFU): `flops_per_second` / peak of all devices.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs and for devices or precisions without a published peak; says nothing of the cause of what \
            was not reached.",
        read: Read::Number(|figures| figures.compute.roofline.as_ref()?.model_flops_utilization),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "memory_bandwidth_utilization",
        group: Group::Roofline,
        unit: "",
        better: Better::Higher,
        headline: None,
        about: "MBU: bytes read over time over the devices' peak, 0 to 1.",
        description: "Model bandwidth utilisation (MBU): `bytes_read_total` / time / peak bandwidth of all devices.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs and for devices or precisions without a published peak; says nothing of the cause of what \
            was not reached.",
        read: Read::Number(|figures| figures.compute.roofline.as_ref()?.memory_bandwidth_utilization),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "least_time_sec",
        group: Group::Roofline,
        unit: "s",
        better: Better::Neither,
        headline: None,
        about: "The least time that the roofline allows, seconds.",
        description: "The least time in seconds that the roofline allows: for prefill and for decode the longer of \
            computing and\n\
            reading.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs and for devices or precisions without a published peak; says nothing of the cause of what \
            was not reached.",
        read: Read::Number(|figures| figures.compute.roofline.as_ref()?.least_time_sec),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "roofline_share",
        group: Group::Roofline,
        unit: "",
        better: Better::Higher,
        headline: None,
        about: "`least_time_sec` over the time taken, 0 to 1.",
        description: "Share of the roofline reached: `least_time_sec` / time taken.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs and for devices or precisions without a published peak; says nothing of the cause of what \
            was not reached.",
        read: Read::Number(|figures| figures.compute.roofline.as_ref()?.roofline_share),
        beside: &[],
        why_null: None,
    },
];
