use super::estimate::FlopsEstimate;
use super::peaks::DevicePeaks;
use joulemark_measurement::{ComputeMetrics, Roofline};

/// Devices that computed, all of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Devices<'a> {
    /// Peak rates of one device.
    pub peaks: &'static DevicePeaks,
    /// Number of devices.
    pub count: u32,
    /// Type of the activations: `f32`, `f16` or `bf16`.
    pub activation_dtype: &'a str,
}

impl FlopsEstimate {
    /// Returns the figures in the form of a result. Rates are `None` when the time is unknown or not positive; the
    /// roofline is `None` when the devices' peaks are unknown.
    pub fn compute_metrics(&self, inference_time_sec: Option<f64>, devices: Option<Devices<'_>>) -> ComputeMetrics {
        let seconds = inference_time_sec.filter(|seconds| *seconds > 0.0);
        let flops_total = self.flops_total.map(|flops| flops as f64);
        let part = |part: fn(&super::Flops) -> u128| self.flops.as_ref().map(|flops| part(flops) as f64);
        let bytes_read_total = self.traffic.map(|traffic| traffic.total());
        ComputeMetrics {
            flops_total,
            flops_prefill: part(|flops| flops.prefill),
            flops_decode: part(|flops| flops.decode),
            flops_causal_total: part(|flops| flops.causal_total),
            flops_elementwise: part(|flops| flops.elementwise),
            macs_total: flops_total.map(|flops| flops / 2.0),
            flops_two_params_tokens: self.flops_two_params_tokens.map(|flops| flops as f64),
            flops_per_second: flops_total.zip(seconds).map(|(flops, seconds)| flops / seconds),
            flops_method: self.method.map(|method| method.as_str().to_owned()),
            flops_confidence: self.confidence,
            bytes_read_total,
            bytes_read_decode: self.traffic.map(|traffic| traffic.decode),
            bytes_per_token: self.traffic.and_then(|traffic| traffic.per_token()),
            arithmetic_intensity: flops_total
                .zip(bytes_read_total)
                .filter(|(_, bytes)| *bytes > 0.0)
                .map(|(flops, bytes)| flops / bytes),
            roofline: devices.and_then(|devices| self.roofline(seconds, devices)),
            flops_notes: self.notes.clone(),
        }
    }

    /// Returns the peaks of `devices`, the shortest time that they allow and, with a time, the share that was reached;
    /// `None` where the peak of this precision is unknown. Time and FLOPs are those of all `devices` together.
    pub fn roofline(&self, seconds: Option<f64>, devices: Devices<'_>) -> Option<Roofline> {
        let count = f64::from(devices.count);
        let peak = devices.peaks.flops_per_sec(devices.activation_dtype)?;
        let bandwidth = devices.peaks.bytes_per_sec;
        let rate = |amount: Option<f64>| amount.zip(seconds).map(|(amount, seconds)| amount / seconds / count);
        let least_time_sec = self.flops.as_ref().zip(self.traffic).map(|(flops, traffic)| {
            let of = |flops: u128, bytes: f64| (flops as f64 / peak).max(bytes / bandwidth) / count;
            of(flops.prefill, traffic.prefill) + of(flops.decode, traffic.decode)
        });
        Some(Roofline {
            device: devices.peaks.name.to_owned(),
            devices: devices.count,
            precision: devices.activation_dtype.to_owned(),
            peak_flops_per_second: peak,
            peak_bytes_per_second: bandwidth,
            source: devices.peaks.source.to_owned(),
            model_flops_utilization: rate(self.flops_total.map(|flops| flops as f64)).map(|rate| rate / peak),
            memory_bandwidth_utilization: rate(self.traffic.map(|traffic| traffic.total()))
                .map(|rate| rate / bandwidth),
            least_time_sec,
            roofline_share: least_time_sec.zip(seconds).map(|(least, seconds)| least / seconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Devices;
    use crate::{Flops, FlopsEstimate, FlopsMethod, Traffic, known_device};

    fn estimate() -> FlopsEstimate {
        FlopsEstimate {
            flops_total: Some(5_000_000_000_000_000),
            flops: Some(Flops {
                prefill: 4_000_000_000_000_000,
                decode: 1_000_000_000_000_000,
                ..Flops::default()
            }),
            traffic: Some(Traffic {
                prefill: 1e12,
                decode: 10e12,
                decode_tokens: 1000.0,
                ..Traffic::default()
            }),
            method: Some(FlopsMethod::Traced),
            ..FlopsEstimate::default()
        }
    }

    #[test]
    fn each_phase_takes_the_longer_of_computing_and_reading() {
        let devices = Devices {
            peaks: known_device("NVIDIA A100-SXM4-40GB").unwrap(),
            count: 2,
            activation_dtype: "f16",
        };
        let metrics = estimate().compute_metrics(Some(20.0), Some(devices));
        let roofline = metrics.roofline.unwrap();
        // Prefill computes for 4e15 / 312e12 s, decode reads for 10e12 / 1555e9 s, on two devices.
        let least = (4000.0 / 312.0 + 10_000.0 / 1555.0) / 2.0;
        assert!((roofline.least_time_sec.unwrap() - least).abs() < 1e-9);
        assert!((roofline.roofline_share.unwrap() - least / 20.0).abs() < 1e-9);
        assert!((roofline.model_flops_utilization.unwrap() - 5000.0 / 20.0 / 624.0).abs() < 1e-9);
        assert!((roofline.memory_bandwidth_utilization.unwrap() - 11_000.0 / 20.0 / 3110.0).abs() < 1e-9);
        assert_eq!(metrics.bytes_per_token, Some(1e10));
        assert_eq!(metrics.macs_total, Some(2.5e15));
    }

    #[test]
    fn a_rate_without_a_time_is_null_and_so_is_a_roofline_without_a_peak() {
        let t4 = |activation_dtype| Devices {
            peaks: known_device("Tesla T4").unwrap(),
            count: 1,
            activation_dtype,
        };
        let metrics = estimate().compute_metrics(Some(0.0), Some(t4("f16")));
        assert_eq!(metrics.flops_per_second, None);
        let roofline = metrics.roofline.unwrap();
        assert_eq!(
            (roofline.model_flops_utilization, roofline.roofline_share),
            (None, None)
        );
        assert!(roofline.least_time_sec.is_some());
        assert_eq!(estimate().compute_metrics(Some(2.0), Some(t4("bf16"))).roofline, None);
        assert_eq!(
            estimate().compute_metrics(Some(2.0), None).flops_per_second,
            Some(2.5e15)
        );
    }
}
