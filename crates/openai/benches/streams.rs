//! Measures the CPU time of reading many streams, and how late they are read; takes a minute:
//!
//!     cargo bench -p joulemark-openai --bench streams              # 256 streams at 100 tokens/s each
//!     cargo bench -p joulemark-openai --bench streams -- 64 200    # another number of streams, another rate
//!
//! The generator of the load has one thread, as in a worker, and the emitter another: only the generator's CPU time is
//! counted.

use std::sync::OnceLock;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::{MICROSECONDS_PER_SECOND, MILLISECONDS_PER_SECOND};
use joulemark_openai::{Answer, Client, Extras, Prompt, Request, Sampling};
use joulemark_testkit::openai_emitter::{Dialect, Emitter, Speaker, Written};
use nix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

const STREAMS: usize = 256;
const TOKENS_PER_SEC: f64 = 100.0;
/// Long enough that the CPU time of connecting does not matter.
const WINDOW_SEC: f64 = 10.0;
const TIMEOUT: Duration = Duration::from_secs(120);
/// Maximum CPU time of the generator, in cores.
const MAX_CORES: f64 = 0.5;

fn main() {
    let numbers: Vec<f64> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let streams = numbers.first().map_or(STREAMS, |streams| *streams as usize);
    let rate = numbers.get(1).copied().unwrap_or(TOKENS_PER_SEC);
    let counted = Extras {
        counts_in_chunks: true,
        ignore_eos: true,
        ..Extras::default()
    };
    let plain = Extras {
        counts_in_chunks: false,
        ..counted
    };
    for (what, extras) in [("usage at the end", plain), ("usage in every chunk", counted)] {
        measure(what, extras, streams, rate);
    }
}

fn measure(what: &str, extras: Extras, streams: usize, rate: f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let speaker = Speaker {
        between: Duration::from_secs_f64(1.0 / rate),
        ..Speaker::new(Dialect::Vllm)
    };
    // Prepared once, so that the emitter is on time.
    let steps = OnceLock::new();
    let emitter = Emitter::start(move |asked| steps.get_or_init(|| speaker.answer(asked)).clone());
    let max_tokens = (WINDOW_SEC * rate) as u32;
    let client = Client::new(emitter.url().parse().expect("an address"), None);
    let (begin, busy) = (Monotonic::now(), thread_cpu_sec());
    let answers = runtime.block_on(ask_all(&client, extras, streams, max_tokens));
    let (window_sec, busy_sec) = (Monotonic::now().sec_since(begin), thread_cpu_sec() - busy);
    let tokens: usize = answers.iter().map(|(_, answer)| answer.chunks.len()).sum();
    let token_sec = busy_sec / tokens as f64;
    // A late emitter, as on a busy host, saves the generator work, so that its cost is scaled to the requested rate.
    let cores = token_sec * streams as f64 * rate;
    let written = runtime.block_on(emitter.written(streams));
    let of_kernel: Vec<_> = answers.iter().flat_map(|(_, answer)| &answer.chunks).collect();
    let of_kernel: Vec<f64> = of_kernel.iter().filter_map(|chunk| chunk.read_lag_sec).collect();
    let verdict = if cores <= MAX_CORES { "within" } else { "above" };
    let of_emitter = lags_sec(&answers, &written);
    println!(
        "{streams} streams, {what}: {:.0} tokens/s of {:.0}; generator {:.1} µs a token, at the whole rate {cores:.2} cores \
         ({verdict} the aim of {MAX_CORES}); read lag p50 {:.2} ms, p99 {:.2} ms by the emitter, {:.2} and {:.2} ms by the kernel",
        tokens as f64 / window_sec,
        streams as f64 * rate,
        token_sec * MICROSECONDS_PER_SECOND,
        percentile_ms(of_emitter.clone(), 0.5),
        percentile_ms(of_emitter, 0.99),
        percentile_ms(of_kernel.clone(), 0.5),
        percentile_ms(of_kernel, 0.99),
    );
}

/// Returns the CPU time of this thread, which is that of the generator.
fn thread_cpu_sec() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it");
    Duration::from(time).as_secs_f64()
}

async fn ask_all(client: &Client, extras: Extras, streams: usize, max_tokens: u32) -> Vec<(usize, Answer)> {
    let mut asking = JoinSet::new();
    for stream in 0..streams {
        let client = client.clone();
        asking.spawn(async move {
            let request = Request {
                model: "tiny".to_owned(),
                prompt: Prompt::user("Hello"),
                max_tokens,
                sampling: Sampling {
                    seed: Some(stream as u64),
                    ..Sampling::default()
                },
                extras,
            };
            (stream, client.ask(&request, TIMEOUT, |_| ()).await.expect("an answer"))
        });
    }
    asking.join_all().await
}

/// Returns the times from each write of the emitter to the read.
fn lags_sec(answers: &[(usize, Answer)], written: &[Written]) -> Vec<f64> {
    let of = |stream: usize| written.iter().find(|written| written.asked.body["seed"] == stream);
    let lags = answers.iter().flat_map(|(stream, answer)| {
        let written = &of(*stream).expect("its answer was written").tokens;
        assert_eq!(written.len(), answer.chunks.len(), "every chunk was read");
        let pairs = answer.chunks.iter().zip(written);
        pairs.map(|(chunk, (written_at, _))| chunk.at.sec_since(*written_at))
    });
    lags.collect()
}

fn percentile_ms(mut values_sec: Vec<f64>, share: f64) -> f64 {
    values_sec.sort_by(f64::total_cmp);
    let place = (values_sec.len() as f64 * share) as usize;
    values_sec
        .get(place)
        .map_or(f64::NAN, |sec| sec * MILLISECONDS_PER_SECOND)
}
