//! Curves over power limits through the service: a board of the mock draws power by its limit, and a server of the test's own
//! answers at the speed that the limit leaves, both by one known law.

use std::time::Duration;

use joulemark_power_control::reads;
use serde_json::{Value, json};

use crate::Law;
use crate::client_command::run;
use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::mock_nvml::{self, MockNvml};
use crate::openai_emitter::{Dialect, Emitter, Speaker};
use crate::server::Server;
use crate::sweeps::finished;

const LAW: Law = Law {
    static_w: 80.0,
    dynamic_w: 320.0,
    memory_share: 0.7,
};
const BOARDS: &str =
    "devices=1\nmin_limit=85\nmax_limit=400\ndefault_limit=400\npower_limit=400\nlaw=80:320:0.7\nsm_clock=1410";
const OUTPUT_TOKENS: u32 = 8;
/// At once.
const ANSWERS: u32 = 4;
/// Reading the prompt computes: its time grows as the clock falls.
const PREFILL_MS: f64 = 300.0;
/// A token reads the model's memory: it is no faster from the law's memory share on.
const DECODE_MS: f64 = 20.0;

/// Of a search, which goes by what a busy host may delay.
const ATTEMPTS: u32 = 3;

fn ttft_ms(limit_w: f64) -> f64 {
    PREFILL_MS / LAW.clock_share(limit_w)
}

fn tpot_ms(limit_w: f64) -> f64 {
    DECODE_MS / LAW.speed(limit_w)
}

/// Returns the joules of the board for each token of all answers.
fn joules(limit_w: f64) -> f64 {
    let answer_ms = ttft_ms(limit_w) + f64::from(OUTPUT_TOKENS - 1) * tpot_ms(limit_w);
    LAW.power_w(limit_w) * answer_ms / 1e3 / f64::from(OUTPUT_TOKENS * ANSWERS)
}

/// A service whose only GPU follows the law, and whose engine answers as fast as that GPU's limit in force allows.
struct Bench {
    server: Server,
    mock: MockNvml,
    _engine: Emitter,
    _zones: FakePowercap,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start() -> Self {
        let (mock, folder) = (MockNvml::new(BOARDS), tempfile::tempdir().expect("a folder"));
        let library = mock.library();
        let engine = Emitter::start(move |asked| {
            let limits = reads(Some(&library), &mock_nvml::uuid(0)).expect("the board answers");
            let limit_w = limits.in_force_w.expect("it has a limit");
            let milliseconds = |ms: f64| Duration::from_secs_f64(ms / 1e3);
            // What is asked to learn what it honours has its answer at once.
            let share = f64::from(u8::from(asked.body["max_tokens"] == OUTPUT_TOKENS));
            let speaker = Speaker {
                before_first: milliseconds(share * ttft_ms(limit_w)),
                between: milliseconds(share * tpot_ms(limit_w)),
                ..Speaker::new(Dialect::Vllm)
            };
            speaker.answer(asked)
        });
        // The host draws next to nothing, so that a token's joules are the board's.
        let zones = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:0.01")]);
        let config = folder.path().join("joulemark.toml");
        let text = format!("[engines.law]\nkind = 'openai'\nendpoint = '{}'\n", engine.url());
        std::fs::write(&config, text).expect("a file");
        let shown = |path: &std::path::Path| path.display().to_string();
        let server = Server::start_with(&[
            "--config",
            &shown(&config),
            "--rapl-root",
            &shown(&zones.root()),
            "--nvml-lib",
            &shown(&mock.library()),
            "--power-control",
            "nvml",
        ]);
        Self {
            server,
            mock,
            _engine: engine,
            _zones: zones,
            _folder: folder,
        }
    }

    /// Asserts that the board has its own limit again.
    fn assert_as_before(&self) {
        let limits = reads(Some(&self.mock.library()), &mock_nvml::uuid(0)).expect("the board answers");
        assert_eq!(limits.set_w, Some(400.0));
    }
}

/// Four answers at once, by limits.
fn sweep(limits_w: &[f64], more: Value) -> Value {
    let mut sweep = json!({
        "base": {
            "engine": "law", "model_name": "tiny", "device": "cuda", "gpus": [0], "prompts": ["a", "b", "c", "d"],
            "batch_size": ANSWERS, "max_output_tokens": OUTPUT_TOKENS, "min_output_tokens": OUTPUT_TOKENS, "num_cycles": 1,
            "warmup_iterations": 0, "idle_baseline_sec": 0,
        },
        "axes": {"power_limit_w": limits_w},
    });
    let fields = more.as_object().expect("an object").clone();
    sweep.as_object_mut().expect("an object").extend(fields);
    sweep
}

fn mean(row: &Value, metric: &str) -> f64 {
    row["metrics"][metric]["mean"]
        .as_f64()
        .unwrap_or_else(|| panic!("{metric}: {row:#}"))
}

/// Says what was tried, with the truth beside, and returns how many points were and which was the best.
fn outcome(done: &Value) -> (usize, Option<u64>) {
    let tried = done["search"]["tried"].as_array().expect("a list");
    println!("limit W  J/token  by the law  median TTFT ms  by the law");
    for of in tried {
        let row = &done["table"][of["point"].as_u64().expect("a number") as usize];
        let limit_w = row["values"]["power_limit_w"].as_f64().expect("watts");
        println!(
            "{limit_w:>7}  {:>7.2}  {:>10.2}  {:>14.1}  {:>10.1}",
            mean(row, "joules_per_output_token"),
            joules(limit_w),
            mean(row, "median_ttft_ms"),
            ttft_ms(limit_w)
        );
    }
    (tried.len(), done["search"]["best_point"].as_u64())
}

#[tokio::test]
async fn a_search_finds_the_limit_of_the_fewest_joules_under_a_bound_in_eight_runs_of_twenty() {
    let bench = Bench::start();
    let limits_w: Vec<f64> = (0..20).map(|step| 110.0 + 14.0 * f64::from(step)).collect();
    let places = || (0..limits_w.len()).zip(&limits_w);
    let least = |(_, one): &(usize, &f64), (_, other): &(usize, &f64)| joules(**one).total_cmp(&joules(**other));
    // 152 W are beyond it, and 166 W keep it by 25 ms.
    let bound_ms = 490.0;
    let (truth, _) = places()
        .filter(|(_, limit_w)| ttft_ms(**limit_w) < bound_ms)
        .min_by(least)
        .expect("some keep it");
    let (unbound, _) = places().min_by(least).expect("there are some");
    assert!(unbound < truth, "the bound decides");
    let goal = json!({"minimise": "joules_per_output_token", "subject_to": {"median_ttft_ms": {"below": bound_ms}}});
    let asked = sweep(&limits_w, json!({"goal": goal}));
    // A host that is busy with other things answers late, which spoils one attempt; a search that is wrong spoils all.
    for attempt in 1..=ATTEMPTS {
        let done = finished(&bench.server, &asked).await;
        bench.assert_as_before();
        let (tried, best) = outcome(&done);
        let is_right = tried <= 8 && best.is_some_and(|best| best as usize == truth);
        if is_right {
            return;
        }
        assert!(attempt < ATTEMPTS, "{truth}: {:#}", done["search"]);
    }
}

#[tokio::test]
async fn the_client_prints_the_curve_over_limits_with_intervals_and_the_best() {
    let bench = Bench::start();
    let limits_w = [90.0, 130.0, 250.0, 400.0];
    let file = bench.server.folder.join("curve.json");
    let text = sweep(&limits_w, json!({"repeats": 2})).to_string();
    std::fs::write(&file, text).expect("it can be written");
    let said = run(
        &bench.server.url,
        &["sweep", &file.display().to_string(), "--wait", "--table"],
    )
    .ended(0);
    println!("{}", said.out);
    for limit_w in limits_w {
        println!(
            "by the law at {limit_w} W: {:.2} J/token, TTFT {:.1} ms",
            joules(limit_w),
            ttft_ms(limit_w)
        );
    }
    let lines: Vec<&str> = said.out.lines().collect();
    for title in [
        "power_limit_w",
        "joules_per_output_token [J/token]",
        "output_throughput [tokens/s]",
        "p99_ttft_ms [ms]",
    ] {
        assert!(lines[0].contains(title), "{title}: {}", said.out);
    }
    for row in &lines[1..=limits_w.len()] {
        assert!(row.contains('±'), "{}", said.out);
    }
    // The interval holds the truth, however busy the host is.
    for (metric, best_w) in [
        ("joules_per_output_token", 130.0),
        ("p99_ttft_ms", 400.0),
        ("output_throughput", 400.0),
    ] {
        let begins = format!("{metric} is best at power_limit_w ");
        let line = lines.iter().find_map(|line| line.strip_prefix(&begins));
        let interval = line.and_then(|line| line.split_once("(95 %: ")?.1.split_once(')'));
        let ends = interval.and_then(|(interval, _)| interval.split_once(" to "));
        let (low, high) = ends.unwrap_or_else(|| panic!("{metric}: {}", said.out));
        let watts = |end: &str| end.parse::<f64>().expect("watts");
        assert!((watts(low)..=watts(high)).contains(&best_w), "{metric}: {}", said.out);
    }
    bench.assert_as_before();
}
