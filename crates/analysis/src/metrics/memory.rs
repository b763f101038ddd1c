use std::borrow::Cow;

use super::metric::{Better, Group, Known, Metric, Read};

/// How much memory it took.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "peak_gpu_memory_bytes",
        group: Group::Inference,
        unit: "B",
        better: Better::Lower,
        headline: None,
        about: "Most memory in use on the GPUs, whole boards, bytes.",
        description: "Most memory in use on the GPUs in bytes, whole boards: each board's largest sample of a cycle, summed over \
            boards and ranks; of all cycles the largest.",
        formula: None,
        source: "NVML's memory in use of the board, read about once a second.",
        limits: "Whoever uses the board is in it, and so is the CUDA context. What comes and goes between two samples is not \
            seen. A key-value cache that an engine reserves when it starts is in it as a whole: it shows the setting, not the load.",
        read: Read::Count(|figures| figures.inference.peak_gpu_memory_bytes),
        beside: &[],
        why_null: Some(no_gpu_memory),
    },
    Metric {
        name: "peak_host_memory_bytes",
        group: Group::Inference,
        unit: "B",
        better: Better::Lower,
        headline: None,
        about: "Most resident memory of the engine's processes, bytes.",
        description: "Most resident memory of the engine's processes and what they started in bytes: each process's peak in a \
            cycle, summed over processes and ranks; of all cycles the largest.",
        formula: None,
        source: "The kernel's high-water mark of each process (VmHWM), set back before each cycle.",
        limits: "Pages that processes share are counted for each of them, files in memory too, and their peaks need not fall \
            together. Where the mark cannot be set back, as of a server of another user, it is the peak since the process began.",
        read: Read::Count(|figures| figures.inference.peak_host_memory_bytes),
        beside: &[],
        why_null: Some(no_host_memory),
    },
];

fn no_gpu_memory(known: &Known<'_>) -> Cow<'static, str> {
    match known.spec.gpu_count {
        0 => "no GPU was leased".into(),
        _ => "a board does not tell its memory in use".into(),
    }
}

fn no_host_memory(_: &Known<'_>) -> Cow<'static, str> {
    "the engine's processes cannot be told, or the kernel does not say their peak".into()
}
