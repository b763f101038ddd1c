//! Makes labels from the names of metrics.

/// Words of names that are written differently in labels.
const WRITTEN: [(&str, &str); 15] = [
    ("ttft", "TTFT"),
    ("tpot", "TPOT"),
    ("itl", "ITL"),
    ("e2e", "end-to-end latency"),
    ("p90", "90th percentile of"),
    ("p99", "99th percentile of"),
    ("mean", "mean"),
    ("gpu", "GPU"),
    ("cpu", "CPU"),
    ("dram", "memory"),
    ("flops", "FLOPs"),
    ("flop", "FLOP"),
    ("macs", "multiply-adds"),
    ("wh", "Wh"),
    ("utilization", "utilisation"),
];
/// Units at the end of names, which labels omit.
const UNITS: [&str; 5] = ["_ms", "_sec", "_j", "_w", "_bytes"];

/// Returns the label of a metric, e.g. `99th percentile of TTFT` for `p99_ttft_ms`.
pub fn label(name: &str) -> String {
    let stem = UNITS
        .into_iter()
        .find_map(|unit| name.strip_suffix(unit))
        .unwrap_or(name);
    let words = stem.split('_').map(|word| {
        let written = WRITTEN.into_iter().find(|(of, _)| *of == word);
        written.map_or(word, |(_, written)| written)
    });
    let words = words.collect::<Vec<_>>().join(" ");
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels_without_units() {
        for (name, words) in [
            ("mean_ttft_ms", "Mean TTFT"),
            ("p99_e2e_ms", "99th percentile of end-to-end latency"),
            ("gpu_energy_j", "GPU energy"),
            ("joules_per_output_token", "Joules per output token"),
            ("tokens_per_second", "Tokens per second"),
            ("flops_total", "FLOPs total"),
            ("", ""),
        ] {
            assert_eq!(label(name), words, "{name}");
        }
    }
}
