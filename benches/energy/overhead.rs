//! What the meter's own thread costs, by its CPU clock: 8 GPUs and 2 packages.

use std::fs;
use std::time::Duration;

use joulemark_testkit::eight_boards::EightBoards;

/// The name the meter gives its thread.
const THREAD: &str = "energy-meter";
const OVER: Duration = Duration::from_secs(10);

pub fn print() {
    println!(
        "\nthe meter thread's CPU time, 8 mock GPUs, 2 packages with dram and a process that is followed, as % of one core (to reach: 0.2 and 2)"
    );
    for (hertz, interval_ms) in [(10, 100), (100, 10)] {
        println!(
            "{hertz:>4} Hz  {:.3} %",
            100.0 * load(Duration::from_millis(interval_ms))
        );
    }
}

fn load(sample_interval: Duration) -> f64 {
    let boards = EightBoards::start("20,20,20,20,100,100,100,100", sample_interval);
    // As the server does with each worker.
    boards.meter.track(std::process::id()).expect("our own CPU time");
    // Past the first seconds, in which refreshes are looked for.
    std::thread::sleep(Duration::from_secs(1));
    let before = thread_cpu_sec();
    std::thread::sleep(OVER);
    let used = thread_cpu_sec() - before;
    drop(boards);
    used / OVER.as_secs_f64()
}

/// Nanoseconds on a CPU, the first number of the thread's `schedstat`.
fn thread_cpu_sec() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("our own threads").flatten();
    let named =
        |folder: &std::path::Path| fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == THREAD);
    let folder = threads
        .map(|thread| thread.path())
        .find(|folder| named(folder))
        .expect("the meter's thread");
    let text = fs::read_to_string(folder.join("schedstat")).expect("its schedstat");
    let nanoseconds: f64 = text
        .split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok())
        .expect("nanoseconds");
    nanoseconds / 1e9
}
