//! A powercap tree in a temporary folder. A thread advances its counters at 1 kHz along known functions of time, like
//! RAPL: they wrap around, and a reading has no timestamp.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

use crate::Shape;

const TICK: Duration = Duration::from_millis(1);

/// A zone of the tree: its name, its power over time, and its faults.
pub struct FakeZone {
    pub path: &'static str,
    pub name: &'static str,
    pub shape: Shape,
    /// Joules at which the counter wraps around to 0; `None` omits the file.
    pub range_j: Option<f64>,
    /// Declared power limit in watts; `None` omits the file.
    pub limit_w: Option<f64>,
    /// Time at which the counter restarts from 0, in CLOCK_MONOTONIC seconds.
    pub reset_at_sec: Option<f64>,
    /// Time at which the counter jumps, in CLOCK_MONOTONIC seconds, and by how many joules.
    pub leap: Option<(f64, f64)>,
    /// Time at which the counter stops permanently, in CLOCK_MONOTONIC seconds.
    pub stops_at_sec: Option<f64>,
}

impl FakeZone {
    /// Creates a zone whose counter does not reach its range.
    pub fn new(path: &'static str, name: &'static str, shape: &str) -> Self {
        let shape = Shape::parse(shape).expect("a shape");
        Self {
            path,
            name,
            shape,
            range_j: Some(262_143.328_85),
            limit_w: None,
            reset_at_sec: None,
            leap: None,
            stops_at_sec: None,
        }
    }

    /// Returns the true energy between two times, in joules.
    pub fn truth_j(&self, start_sec: f64, end_sec: f64) -> f64 {
        self.shape.energy_j(end_sec) - self.shape.energy_j(start_sec)
    }

    /// Returns the value of the counter at a time, in microjoules.
    fn shown_uj(&self, at_sec: f64) -> u64 {
        let at_sec = self.stops_at_sec.map_or(at_sec, |stops| at_sec.min(stops));
        let leap_j = self
            .leap
            .filter(|(leap_sec, _)| *leap_sec <= at_sec)
            .map_or(0.0, |(_, by_j)| by_j);
        let zero_sec = self.reset_at_sec.filter(|reset| *reset <= at_sec).unwrap_or(0.0);
        let joules = self.shape.energy_j(at_sec) - self.shape.energy_j(zero_sec) + leap_j;
        let shown_j = self.range_j.map_or(joules, |range| joules.rem_euclid(range));
        (shown_j * 1e6) as u64
    }
}

/// A running tree. Its counters stop when it is dropped.
pub struct FakePowercap {
    folder: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    pub zones: Arc<Vec<FakeZone>>,
}

impl FakePowercap {
    /// Starts the thread that advances the counters.
    pub fn start(zones: Vec<FakeZone>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files: Vec<File> = zones.iter().map(|zone| lay_out(folder.path(), zone)).collect();
        let (zones, stop) = (Arc::new(zones), Arc::new(AtomicBool::new(false)));
        let (moved, stopped) = (Arc::clone(&zones), Arc::clone(&stop));
        let writer = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (zone, file) in moved.iter().zip(&files) {
                    show(file, zone.shown_uj(Monotonic::now().as_sec()));
                }
                std::thread::sleep(TICK);
            }
        });
        Self {
            folder,
            stop,
            writer: Some(writer),
            zones,
        }
    }

    /// Returns the root folder of the tree.
    pub fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for FakePowercap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer ends");
        }
    }
}

fn lay_out(root: &Path, zone: &FakeZone) -> File {
    let folder = root.join(zone.path);
    fs::create_dir_all(&folder).expect("a zone");
    fs::write(folder.join("name"), format!("{}\n", zone.name)).expect("a name");
    if let Some(range_j) = zone.range_j {
        fs::write(folder.join("max_energy_range_uj"), format!("{:.0}\n", range_j * 1e6)).expect("a range");
    }
    if let Some(limit_w) = zone.limit_w {
        fs::write(
            folder.join("constraint_0_max_power_uw"),
            format!("{:.0}\n", limit_w * 1e6),
        )
        .expect("a limit");
    }
    let file = File::create(folder.join("energy_uj")).expect("a counter");
    show(&file, zone.shown_uj(Monotonic::now().as_sec()));
    file
}

/// Writes a counter in a single write of constant length, so that a reader never sees half a number.
fn show(file: &File, microjoules: u64) {
    file.write_all_at(format!("{microjoules:020}\n").as_bytes(), 0)
        .expect("a counter to write");
}
