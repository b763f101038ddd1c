use std::borrow::Cow;

use super::metric::{Better, Group, Known, Metric, Read};

/// Metrics of memory use.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "peak_gpu_memory_bytes",
        group: Group::Inference,
        unit: "B",
        better: Better::Lower,
        headline: None,
        about: "Peak memory in use on the GPUs, whole boards, bytes.",
        description: "Peak memory in use on the GPUs, whole boards, in bytes: the largest sample of each board in \
            a cycle, summed over boards and ranks; the maximum of all cycles.",
        formula: None,
        source: "NVML's memory in use of the board, read about once a second.",
        limits: "Other users of the board and the CUDA context are included. Peaks between two samples are missed. \
            A key-value cache that an engine reserves when it starts counts as a whole, so the figure then shows the \
            setting and not the load.",
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
        about: "Peak resident memory of the engine's processes, bytes.",
        description: "Peak resident memory of the engine's processes and their children, in bytes: the peak of \
            each process in a cycle, summed over processes and ranks; the maximum of all cycles.",
        formula: None,
        source: "The kernel's high-water mark of each process (VmHWM), reset before each cycle.",
        limits: "Pages that processes share, and files in memory, count for each process. The peaks of processes \
            may fall at different times. Where the mark cannot be reset, as for a server of another user, it is the \
            peak since the process started.",
        read: Read::Count(|figures| figures.inference.peak_host_memory_bytes),
        beside: &[],
        why_null: Some(no_host_memory),
    },
];

fn no_gpu_memory(known: &Known<'_>) -> Cow<'static, str> {
    match known.spec.gpu_count {
        0 => "no GPU was leased".into(),
        _ => "a GPU does not report its memory in use".into(),
    }
}

fn no_host_memory(_: &Known<'_>) -> Cow<'static, str> {
    "the engine's processes are unknown, or the kernel does not report their peak memory".into()
}
