//! Compares joulemark's figures with those of mistral.rs called directly, and measures the service's own cost:
//! `cargo bench --bench throughput` after `bash deploy/fetch-model.sh models`.
//! `cargo bench --bench throughput -- meter` compares inference with and without the meter.
//!
//! All cases run the same prompts on the same threads and alternate, so that a machine that slows down slows all.

mod direct;
mod metered;
mod service;

use direct::Direct;

const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const PROMPTS: usize = 8;
const OUTPUT_TOKENS: usize = 48;
const ROUNDS: usize = 5;

fn main() {
    let threads = std::thread::available_parallelism().expect("the number of CPUs is known");
    // Before the first use of the pool; the service's worker gets the same number of threads.
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build_global()
        .expect("the pool is not built yet");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    if std::env::args().any(|argument| argument == "meter") {
        runtime.block_on(metered::compare(threads.get()));
    } else {
        runtime.block_on(compare(threads.get()));
    }
}

async fn compare(threads: usize) {
    let service = service::Service::start();
    let prompts = joulemark_worker::inference::prompts::load("short-32", Some(PROMPTS)).expect("the set is built in");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut overheads = Vec::new();
    println!("model {MODEL}, {threads} threads, {PROMPTS} prompts of {OUTPUT_TOKENS} output tokens; output tokens/s");
    println!(
        "{:>5}  {:>10}  {:>17}  {:>6}",
        "round", "joulemark", "mistral.rs in f32", "ratio"
    );
    for round in 0..ROUNDS {
        let their = Direct::in_float32(MODEL)
            .await
            .tokens_per_second(&prompts, OUTPUT_TOKENS)
            .await;
        let report = service.run(MODEL, PROMPTS, OUTPUT_TOKENS).await;
        let our = report["inference"]["tokens_per_second"]
            .as_f64()
            .expect("the metric is there");
        println!("{round:>5}  {our:>10.2}  {their:>17.2}  {:>6.3}", our / their);
        ours.push(our);
        theirs.push(their);
        overheads.push(report["timing"].clone());
    }
    let documented = Direct::as_documented(MODEL)
        .await
        .tokens_per_second(&prompts, OUTPUT_TOKENS)
        .await;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    println!(
        "mean ratio at equal types {:.3} (to reach: 0.97); as mistral.rs documents it, in f16: {documented:.2}",
        mean(&ours) / mean(&theirs)
    );
    for timing in overheads {
        println!(
            "claim to load start {:.1} ms; load {:.2} s, warm-up {:.2} s, measuring {:.2} s of {:.2} s in all; \
             overhead {:.2} %",
            timing["claim_to_load_start_sec"].as_f64().unwrap_or(f64::NAN) * 1e3,
            timing["load_sec"].as_f64().unwrap_or(f64::NAN),
            timing["warm_up_sec"].as_f64().unwrap_or(f64::NAN),
            timing["measuring_sec"].as_f64().unwrap_or(f64::NAN),
            timing["total_sec"].as_f64().unwrap_or(f64::NAN),
            timing["overhead_share"].as_f64().unwrap_or(f64::NAN) * 1e2,
        );
    }
}
