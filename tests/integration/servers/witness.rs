use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// CPU time in the kernel's ticks at a moment, in seconds.
#[derive(Clone, Copy)]
struct Seen {
    at_sec: f64,
    process: f64,
    host: f64,
}

/// Follows the CPU time of one process and of the host by other files than the meter reads.
pub struct Witness {
    seen: Arc<Mutex<Vec<Seen>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub fn start(pid: u32) -> Self {
        let (seen, is_over) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(AtomicBool::new(false)));
        let (writes, ends) = (seen.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                if let Some((process, host)) = ticks(pid) {
                    let at_sec = Monotonic::now().as_sec();
                    writes.lock().expect("no panic").push(Seen { at_sec, process, host });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            seen,
            is_over,
            thread: Some(thread),
        }
    }

    /// The process's share of the host's busy CPU time between two moments.
    pub fn share(&self, [start, end]: [f64; 2]) -> f64 {
        let seen = self.seen.lock().expect("no panic");
        let at = |sec: f64| {
            let after = seen
                .iter()
                .position(|seen| seen.at_sec >= sec)
                .expect("it was followed");
            let (before, after) = (seen[after - 1], seen[after]);
            let part = (sec - before.at_sec) / (after.at_sec - before.at_sec);
            let between = |before: f64, after: f64| before + part * (after - before);
            (between(before.process, after.process), between(before.host, after.host))
        };
        let (first, last) = (at(start), at(end));
        (last.0 - first.0) / (last.1 - first.1)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The busy ticks of a process and of the host.
fn ticks(pid: u32) -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: user and system time are the 12th and 13th.
    let fields: Vec<_> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let process: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let host = std::fs::read_to_string("/proc/stat").ok()?;
    let host: Vec<f64> = host.lines().next()?.split_whitespace().flat_map(str::parse).collect();
    // Steal is in the meter's clock as well.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = host[..] else {
        return None;
    };
    Some((process, user + nice + system + irq + softirq + steal))
}
