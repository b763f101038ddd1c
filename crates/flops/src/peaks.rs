//! Peak rates of known GPUs, from the documents of their makers.

/// Peak rates of one kind of GPU, by its datasheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DevicePeaks {
    /// Beginning of NVML's name of the device. Where one name begins another, the longer one comes first in the table.
    pub name: &'static str,
    /// Peak of FP16 and BF16 matrix products with 32-bit sums, dense (without structured sparsity), in FLOP/s.
    half_flops_per_sec: f64,
    /// Peak of FP32 without tensor cores, in FLOP/s: mistral.rs does not enable TF32.
    single_flops_per_sec: f64,
    /// Peak memory bandwidth in bytes/s.
    pub bytes_per_sec: f64,
    /// Document that states the rates.
    pub source: &'static str,
}

/// Creates an entry from TFLOP/s of half and of single precision, and GB/s.
const fn gpu(name: &'static str, half: f64, single: f64, gigabytes: f64, source: &'static str) -> DevicePeaks {
    DevicePeaks {
        name,
        half_flops_per_sec: half * 1e12,
        single_flops_per_sec: single * 1e12,
        bytes_per_sec: gigabytes * 1e9,
        source,
    }
}

const HOPPER: &str = "NVIDIA H100 Tensor Core GPU Datasheet (half precision is given with sparsity: halved)";
const H200: &str = "NVIDIA H200 Tensor Core GPU Datasheet (half precision is given with sparsity: halved)";
const GH200: &str = "NVIDIA GH200 Grace Hopper Superchip Datasheet (half precision is given with sparsity: halved)";
const B200: &str = "NVIDIA DGX B200 Datasheet, an eighth of the system (half precision is given with sparsity: halved)";
const A100: &str = "NVIDIA A100 Tensor Core GPU Datasheet";
const A40: &str = "NVIDIA A40 Datasheet";
const A30: &str = "NVIDIA A30 Tensor Core GPU Datasheet";
const A10: &str = "NVIDIA A10 Tensor Core GPU Datasheet";
const L4: &str = "NVIDIA L4 Tensor Core GPU Datasheet (half precision is given with sparsity: halved)";
const L40: &str = "NVIDIA L40 GPU Datasheet";
const L40S: &str = "NVIDIA L40S GPU Datasheet";
const T4: &str = "NVIDIA T4 Tensor Core GPU Datasheet";
const V100: &str = "NVIDIA V100 Tensor Core GPU Datasheet";
const ADA: &str = "NVIDIA Ada GPU Architecture whitepaper, appendix A (FP16 tensor with FP32 accumulate)";
const AMPERE: &str = "NVIDIA Ampere GA102 GPU Architecture whitepaper, appendix A (FP16 tensor with FP32 accumulate)";

/// GPUs with known peak rates.
pub static KNOWN_DEVICES: [DevicePeaks; 28] = [
    gpu("NVIDIA B200", 2250.0, 75.0, 8000.0, B200),
    gpu("NVIDIA GH200", 989.5, 67.0, 4000.0, GH200),
    gpu("NVIDIA H200 NVL", 835.5, 60.0, 4800.0, H200),
    gpu("NVIDIA H200", 989.5, 67.0, 4800.0, H200),
    gpu("NVIDIA H100 PCIe", 756.5, 51.0, 2000.0, HOPPER),
    gpu("NVIDIA H100 NVL", 835.5, 60.0, 3900.0, HOPPER),
    gpu("NVIDIA H100 80GB HBM3", 989.5, 67.0, 3350.0, HOPPER),
    gpu("NVIDIA A100-SXM4-80GB", 312.0, 19.5, 2039.0, A100),
    gpu("NVIDIA A100 80GB PCIe", 312.0, 19.5, 1935.0, A100),
    gpu("NVIDIA A100-SXM4-40GB", 312.0, 19.5, 1555.0, A100),
    gpu("NVIDIA A100-PCIE-40GB", 312.0, 19.5, 1555.0, A100),
    gpu("NVIDIA A40", 149.7, 37.4, 696.0, A40),
    gpu("NVIDIA A30", 165.0, 10.3, 933.0, A30),
    gpu("NVIDIA A10", 125.0, 31.2, 600.0, A10),
    gpu("NVIDIA L40S", 362.05, 91.6, 864.0, L40S),
    gpu("NVIDIA L40", 181.05, 90.5, 864.0, L40),
    gpu("NVIDIA L4", 121.0, 30.3, 300.0, L4),
    gpu("Tesla T4", 65.0, 8.1, 320.0, T4),
    gpu("Tesla V100S-PCIE", 130.0, 16.4, 1134.0, V100),
    gpu("Tesla V100-SXM2", 125.0, 15.7, 900.0, V100),
    gpu("Tesla V100-PCIE", 112.0, 14.0, 900.0, V100),
    gpu("NVIDIA RTX 6000 Ada Generation", 364.2, 91.1, 960.0, ADA),
    gpu("NVIDIA GeForce RTX 4090", 165.2, 82.6, 1008.0, ADA),
    gpu("NVIDIA GeForce RTX 4080", 97.5, 48.7, 716.8, ADA),
    gpu("NVIDIA RTX A6000", 154.8, 38.7, 768.0, AMPERE),
    gpu("NVIDIA GeForce RTX 3090 Ti", 80.0, 40.0, 1008.0, AMPERE),
    gpu("NVIDIA GeForce RTX 3090", 71.0, 35.6, 936.0, AMPERE),
    gpu("NVIDIA GeForce RTX 3080", 59.5, 29.8, 760.0, AMPERE),
];

impl DevicePeaks {
    /// Returns the peak in FLOP/s for activations of type `f32`, `f16` or `bf16`; `None` for other types, and for
    /// `bf16` on a GPU without tensor cores for it.
    pub fn flops_per_sec(&self, activation_dtype: &str) -> Option<f64> {
        match activation_dtype {
            "f32" => Some(self.single_flops_per_sec),
            "f16" => Some(self.half_flops_per_sec),
            // GPUs before Ampere have no tensor cores for it.
            "bf16" => (!self.name.starts_with("Tesla")).then_some(self.half_flops_per_sec),
            _ => None,
        }
    }
}

/// Returns the peaks of the device with this NVML name; `None` where the table has none. A variant that is not in the
/// table (`A10G`, `RTX 4080 SUPER`, a MIG slice) is unknown.
pub fn known_device(name: &str) -> Option<&'static DevicePeaks> {
    let rest_is_a_size = |rest: &str| {
        let words = rest.split([' ', '-']).filter(|word| !word.is_empty());
        let mut known = words.map(|word| word.ends_with("GB") || word.starts_with("HBM") || word.starts_with("LS"));
        (rest.is_empty() || rest.starts_with([' ', '-'])) && known.all(|known| known)
    };
    KNOWN_DEVICES
        .iter()
        .find(|device| name.strip_prefix(device.name).is_some_and(rest_is_a_size))
}

/// Returns the peaks of the device with this name as people write it: NVML's name or the table's, in any case, with or
/// without the maker. `None` where the table has none.
pub fn device_named(name: &str) -> Option<&'static DevicePeaks> {
    let short = |name: &str| {
        let name = name.trim().to_lowercase();
        let without_maker = ["nvidia ", "tesla "].iter().find_map(|maker| name.strip_prefix(maker));
        without_maker.unwrap_or(&name).to_owned()
    };
    let named = || KNOWN_DEVICES.iter().find(|device| short(device.name) == short(name));
    known_device(name).or_else(named)
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_DEVICES, device_named, known_device};

    #[test]
    fn names_of_nvml_find_their_device_and_no_sibling() {
        for (name, half) in [
            ("NVIDIA H100 80GB HBM3", 989.5e12),
            ("NVIDIA H100 PCIe", 756.5e12),
            ("NVIDIA L40S", 362.05e12),
            ("NVIDIA L40", 181.05e12),
            ("NVIDIA L4", 121e12),
            ("Tesla V100-SXM2-16GB", 125e12),
            ("NVIDIA GH200 480GB", 989.5e12),
            ("NVIDIA GeForce RTX 3090", 71e12),
        ] {
            assert_eq!(known_device(name).unwrap().flops_per_sec("f16"), Some(half), "{name}");
        }
        for name in [
            "",
            "NVIDIA A10G",
            "NVIDIA GeForce RTX 4080 SUPER",
            "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
            "NVIDIA",
        ] {
            assert_eq!(known_device(name), None, "{name}");
        }
    }

    #[test]
    fn no_device_hides_behind_one_that_begins_its_name() {
        for device in &KNOWN_DEVICES {
            assert_eq!(known_device(device.name), Some(device), "{}", device.name);
            assert!(
                device.flops_per_sec("f32") < device.flops_per_sec("f16"),
                "{}",
                device.name
            );
        }
    }

    #[test]
    fn a_person_may_leave_out_the_maker() {
        assert_eq!(device_named("a100-sxm4-80gb"), known_device("NVIDIA A100-SXM4-80GB"));
        assert_eq!(device_named("T4"), known_device("Tesla T4"));
        assert_eq!(device_named("a100"), None);
    }

    #[test]
    fn bfloat16_has_no_peak_before_ampere() {
        assert_eq!(known_device("Tesla T4").unwrap().flops_per_sec("bf16"), None);
        assert_eq!(known_device("NVIDIA A30").unwrap().flops_per_sec("bf16"), Some(165e12));
        assert_eq!(known_device("NVIDIA A30").unwrap().flops_per_sec("i8"), None);
    }
}
