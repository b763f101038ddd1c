use super::metric::{Better, Group, Metric, Read};

/// Metrics of a run compared with the peak rates of its devices. A missing roofline has one warning, that of
/// `compute.roofline`.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "model_flops_utilization",
        group: Group::Roofline,
        unit: "",
        better: Better::Higher,
        headline: None,
        about: "MFU: `flops_per_second` / the devices' peak, 0 to 1.",
        description: "Model FLOPs utilisation (MFU): `flops_per_second` / peak of all devices.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs, and for devices or precisions without a published peak. It does not show why a \
            peak was not reached.",
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
        about: "MBU: `bytes_read_total` / time / the devices' peak bandwidth, 0 to 1.",
        description: "Model bandwidth utilisation (MBU): `bytes_read_total` / time / peak bandwidth of all devices.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs, and for devices or precisions without a published peak. It does not show why a \
            peak was not reached.",
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
        about: "Shortest time that the roofline allows, seconds.",
        description: "Shortest time that the roofline allows, in seconds: for prefill and for decode the time to \
            compute or the time to read, whichever is longer, and the sum of both phases.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs, and for devices or precisions without a published peak. It does not show why a \
            peak was not reached.",
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
        about: "`least_time_sec` / time taken, 0 to 1.",
        description: "Share of the roofline that was reached: `least_time_sec` / time taken.",
        formula: None,
        source: "Peak rates of the devices as their maker publishes them.",
        limits: "Null for CPUs, and for devices or precisions without a published peak. It does not show why a \
            peak was not reached.",
        read: Read::Number(|figures| figures.compute.roofline.as_ref()?.roofline_share),
        beside: &[],
        why_null: None,
    },
];
