//! What it costs to look for what may start, while very many wait that may not.

use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Value, json};

use super::database::Database;
use super::fill;
use super::server::Server;

const WAITING: u32 = 100_000;
/// Kinds of needs, and users: a thousand lines.
const LINES: (u32, u32) = (20, 50);
const STARTS: usize = 25;
/// The server looks once a second by itself.
const IDLE_SECONDS: u64 = 10;

pub fn measure(database: &Database) {
    let template = Server::start(database, &[]).complete_one();
    let few = starts(database, 0);
    fill::queue(database, &template, WAITING, LINES);
    let many = starts(database, WAITING);
    println!("  a look at the queue takes {:.1} ms of CPU more", many - few);
}

/// Starts one after the other, each the only one of its user and need; then CPU milliseconds in a second of rest.
fn starts(database: &Database, waiting: u32) -> f64 {
    // By default no more may wait.
    let server = Server::start(database, &["--max-queued", "0"]);
    let mut waits_ms = (0..STARTS)
        .map(|_| {
            let id = server.submit(&json!({
                "model_name": "synthetic:decode_ms=1", "prompts": ["a"], "max_output_tokens": 1, "num_cycles": 1,
                "warmup_iterations": 0, "idle_baseline_sec": 0, "user": "ada",
            }));
            let shown = server.until_completed(&id);
            let time = |name: &str| {
                text(&shown, name)
                    .parse::<Timestamp>()
                    .expect("a time")
                    .as_microsecond()
            };
            (time("started_at") - time("created_at")) as f64 / 1e3
        })
        .collect::<Vec<_>>();
    waits_ms.sort_by(f64::total_cmp);
    let before = cpu_ms(server.pid());
    std::thread::sleep(Duration::from_secs(IDLE_SECONDS));
    let idle_ms = (cpu_ms(server.pid()) - before) / IDLE_SECONDS as f64;
    println!(
        "with {waiting} waiting ({} needs of {} users) that another node has to run: from the submission to the start \
         median {:.1} ms, longest of {STARTS} {:.1} ms; at rest the server takes {idle_ms:.1} ms of CPU a second",
        LINES.0,
        LINES.1,
        waits_ms[STARTS / 2],
        waits_ms[STARTS - 1],
    );
    idle_ms
}

fn text<'a>(shown: &'a Value, name: &str) -> &'a str {
    shown[name].as_str().unwrap_or_else(|| panic!("no {name}: {shown:#}"))
}

/// Of all threads, in user and kernel mode.
fn cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server lives");
    // Behind the name, which may hold anything: state is field 3, utime and stime are 14 and 15.
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("ticks"))
        .sum::<f64>();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().expect("a clock") as f64;
    ticks * 1e3 / per_second
}
