//! What a metric is called on a page, made of its name in the table of metrics.

/// Words that are written otherwise than the names have them.
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
/// Units at a name's end, which stand behind the value.
const UNITS: [&str; 5] = ["_ms", "_sec", "_j", "_w", "_bytes"];

/// Returns a metric's name in words, such as `99th percentile of TTFT` of `p99_ttft_ms`.
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
    fn names_are_read_as_words_without_their_unit() {
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
