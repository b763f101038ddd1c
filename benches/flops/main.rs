//! How long `joulemark flops` takes for large models: sparse files with real headers, so that 100 GB cost no disk.
//! `cargo bench --bench flops`

mod files;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

const RUNS: usize = 15;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!(
        "{:<42} {:>9} {:>9} {:>8}   median and slowest of {RUNS} runs of the command",
        "model", "GB", "tensors", "shards"
    );
    for model in files::models() {
        let path = folder.path().join(model.name);
        let written = model.write(&path);
        let mut times: Vec<f64> = (0..RUNS).map(|_| milliseconds(&written.path)).collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{:<42} {:>9.1} {:>9} {:>8}   {:.1} ms, {:.1} ms",
            model.name,
            written.bytes as f64 / 1e9,
            written.tensors,
            written.shards,
            times[RUNS / 2],
            times[RUNS - 1],
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time itself")]
fn milliseconds(model: &Path) -> f64 {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["flops", "--json", "--model"])
        .arg(model)
        .output()
        .expect("the command runs");
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("\"traced\""),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    elapsed
}
