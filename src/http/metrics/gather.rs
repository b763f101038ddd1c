//! Gathers the metrics of a scrape. Nothing is scanned or measured for it: counts come from indices of the database, at
//! limited intervals, and energy from what the meter has already gathered.

use super::own::KnownDepth;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::exposition::{Family, Sheet};
use super::process::Process;
use crate::disk::{Disk, Room, backup_marker};
use crate::http::state::AppState;
use crate::log_writer;
use crate::scheduler::Lease;
use joulemark_experiment::Device;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_meter::{MeterHealth, Place, SourceHealth};
use joulemark_store::QueueDepth;

/// Timeout of database queries; a slower database counts as unreachable.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Counts are reused for at least this many seconds, and for `REUSE_FACTOR` times the duration of the query: counting
/// takes at most a twentieth of the time of a database reader.
const MIN_REUSE_SEC: f64 = 1.0;
const REUSE_FACTOR: f64 = 20.0;

pub async fn gather(state: &AppState) -> Sheet {
    let depth = depth(state).await;
    let next_key_end = next_key_end(state).await;
    let (scheduler, disks, file) = (
        state.scheduler.clone(),
        state.disks.clone(),
        state.database_file.clone(),
    );
    // Disks, locks, open files and the spool folder are read by blocking calls.
    let blocking = tokio::task::spawn_blocking(move || HostReadings {
        process: Process::read(),
        spooled: scheduler.spooled(),
        disk_rooms: disks.iter().map(Disk::look).collect(),
        held_elsewhere: scheduler.held_elsewhere(),
        backed_up_at: file.and_then(|file| backup_marker::read(&file)),
    });
    let HostReadings {
        process,
        spooled,
        disk_rooms,
        held_elsewhere,
        backed_up_at,
    } = blocking.await.unwrap_or_default();
    let mut sheet = Sheet::default();
    add_server(&mut sheet, state, &process);
    add_queue(&mut sheet, state, depth.as_ref());
    let spooled = spooled.map(|count| (Vec::new(), count as f64)).into_iter().collect();
    sheet.add(gauge(
        "store_spooled_endings",
        "Ends of runs that are spooled on disk until the database answers",
        spooled,
    ));
    add_expiries(&mut sheet, next_key_end, backed_up_at);
    add_disks(&mut sheet, &disk_rooms);
    sheet.add(gauge(
        "device_held_elsewhere",
        "1 while another server of this host, or workers of a dead one, hold the device",
        state
            .resources
            .meter
            .devices()
            .gpus
            .into_iter()
            .map(|gpu| Lease::Gpu(gpu.uuid))
            .chain([Lease::Cpu])
            .map(|lease| {
                let is_held = held_elsewhere.contains(&lease);
                (vec![("device", device_of(lease))], f64::from(u8::from(is_held)))
            })
            .collect(),
    ));
    add_meter(&mut sheet, &state.resources.meter.health());
    sheet
}

/// Values that are read by blocking calls.
#[derive(Default)]
struct HostReadings {
    process: Process,
    spooled: Option<usize>,
    disk_rooms: Vec<Room>,
    held_elsewhere: Vec<Lease>,
    backed_up_at: Option<Timestamp>,
}

/// Returns the time at which the next valid key expires; `None` if none expires, or if the database is unreachable.
async fn next_key_end(state: &AppState) -> Option<Timestamp> {
    let now = clock::wall_now();
    let keys = tokio::time::timeout(QUERY_TIMEOUT, state.resources.store.keys()).await;
    let ends = keys.ok()?.ok()?.into_iter().filter(|key| key.revoked_at.is_none());
    ends.filter_map(|key| key.expires_at).filter(|end| *end > now).min()
}

/// Adds the metrics of keys and backups.
fn add_expiries(sheet: &mut Sheet, next_key_end: Option<Timestamp>, backed_up_at: Option<Timestamp>) {
    let now = clock::wall_now();
    let seconds = |name, help, value: Option<f64>| Family {
        unit: Some(Unit::Seconds),
        ..gauge(name, help, value.map(one).unwrap_or_default())
    };
    sheet.add(seconds(
        "api_key_next_expiry",
        "Seconds until the next of the valid API keys expires",
        next_key_end.map(|end| end.duration_since(now).as_secs_f64()),
    ));
    sheet.add(seconds(
        "backup_age",
        "Seconds since `joulemark db backup` last copied the SQLite file",
        backed_up_at.map(|at| now.duration_since(at).as_secs_f64().max(0.0)),
    ));
}

/// Adds the metrics of the disks.
fn add_disks(sheet: &mut Sheet, disk_rooms: &[Room]) {
    let of_disk = |room: &Room| vec![("disk", room.name.to_owned())];
    let writable = disk_rooms
        .iter()
        .map(|room| (of_disk(room), f64::from(u8::from(room.problem.is_none()))));
    sheet.add(gauge(
        "disk_writable",
        "1 while files can be written where the server must write, else 0",
        writable.collect(),
    ));
    let free = disk_rooms
        .iter()
        .filter_map(|room| Some((of_disk(room), room.free_bytes? as f64)));
    sheet.add(Family {
        unit: Some(Unit::Bytes),
        ..gauge("disk_free", "Free bytes where the server must write", free.collect())
    });
}

/// Returns the label of a device.
fn device_of(lease: Lease) -> String {
    match lease {
        Lease::Gpu(uuid) => uuid,
        Lease::Cpu => "cpu".to_owned(),
    }
}

/// Returns the queue depth; `None` if the database is unreachable. Concurrent scrapes share one query.
async fn depth(state: &AppState) -> Option<QueueDepth> {
    let mut known = state.metrics.depth.lock().await;
    let now = Monotonic::now();
    if let Some(known) = known.as_ref().filter(|known| now < known.until) {
        return known.depth.clone();
    }
    let counted = tokio::time::timeout(QUERY_TIMEOUT, state.resources.store.depth()).await;
    let depth = counted.ok().and_then(Result::ok);
    let then = Monotonic::now();
    let reuse_sec = (then.sec_since(now) * REUSE_FACTOR).max(MIN_REUSE_SEC);
    *known = Some(KnownDepth {
        until: Monotonic::from_sec(then.as_sec() + reuse_sec),
        depth: depth.clone(),
    });
    depth
}

/// Returns a gauge without a unit.
fn gauge(name: &'static str, help: &'static str, samples: Vec<(Vec<(&'static str, String)>, f64)>) -> Family {
    Family {
        name,
        help,
        unit: None,
        kind: MetricType::Gauge,
        samples,
    }
}

/// Returns one sample without labels.
fn one(value: f64) -> Vec<(Vec<(&'static str, String)>, f64)> {
    vec![(Vec::new(), value)]
}

/// Adds the metrics of the server and its process.
fn add_server(sheet: &mut Sheet, state: &AppState, process: &Process) {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("cuda", state.scheduler.has_cuda().to_string()),
        ("node", state.scheduler.node().name.clone()),
    ];
    sheet.add(gauge(
        "build_info",
        "This server's build and node; always 1",
        vec![(labels, 1.0)],
    ));
    let streams = f64::from(state.streams.taken());
    sheet.add(gauge(
        "http_streams_open",
        "Open event streams and waiting requests",
        one(streams),
    ));
    sheet.add(Family {
        kind: MetricType::Counter,
        ..gauge(
            "log_lines_dropped",
            "Log lines dropped because standard error did not take them",
            one(log_writer::dropped_lines() as f64),
        )
    });
    let started_at = state.metrics.started_at;
    let uptime_sec = clock::wall_now().duration_since(started_at).as_secs_f64().max(0.0);
    let seconds = |family: Family| Family {
        unit: Some(Unit::Seconds),
        ..family
    };
    let bytes = |family: Family| Family {
        unit: Some(Unit::Bytes),
        ..family
    };
    sheet.add(seconds(gauge(
        "uptime",
        "Seconds since this server started",
        one(uptime_sec),
    )));
    let started_sec = started_at.as_microsecond() as f64 / 1e6;
    sheet.add_unprefixed(seconds(gauge(
        "process_start_time",
        "Start time of the process in seconds since 1970",
        one(started_sec),
    )));
    let told = |value: Option<f64>| value.map(one).unwrap_or_default();
    let count = |value: Option<u64>| told(value.map(|value| value as f64));
    sheet.add_unprefixed(bytes(gauge(
        "process_resident_memory",
        "Resident memory in bytes",
        count(process.resident_bytes),
    )));
    sheet.add_unprefixed(bytes(gauge(
        "process_virtual_memory",
        "Virtual memory in bytes",
        count(process.virtual_bytes),
    )));
    sheet.add_unprefixed(gauge(
        "process_threads",
        "Threads of the process",
        count(process.threads),
    ));
    sheet.add_unprefixed(gauge(
        "process_open_fds",
        "Open file descriptors",
        count(process.open_fds),
    ));
    sheet.add_unprefixed(gauge(
        "process_max_fds",
        "Maximum number of open file descriptors",
        count(process.max_fds),
    ));
    sheet.add_unprefixed(seconds(Family {
        kind: MetricType::Counter,
        ..gauge(
            "process_cpu",
            "CPU time in seconds of the server without its workers",
            told(process.cpu_sec),
        )
    }));
}

/// Adds the metrics of the queue and of leased devices.
fn add_queue(sheet: &mut Sheet, state: &AppState, depth: Option<&QueueDepth>) {
    let is_there = if depth.is_some() { 1.0 } else { 0.0 };
    sheet.add(gauge(
        "store_reachable",
        "1 while the database answers within 2 s, else 0",
        one(is_there),
    ));
    let by_state = depth.map(|depth| depth.by_state.as_slice()).unwrap_or_default().iter();
    let by_state = by_state.map(|(state, count)| (vec![("state", state.as_str().to_owned())], *count as f64));
    sheet.add(gauge(
        "experiments",
        "Unfinished experiments in the database by state, including those of other servers that share it",
        by_state.collect(),
    ));
    let mut by_devices: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for (requirements, count) in depth.map(|depth| depth.waiting.as_slice()).unwrap_or_default() {
        let devices = match requirements {
            None => ("unknown", "0".to_owned()),
            Some(requirements) if requirements.device == Device::Cuda => {
                let named = u32::try_from(requirements.gpus.len()).unwrap_or(u32::MAX);
                ("cuda", requirements.gpu_count.max(named).to_string())
            }
            Some(_) => ("cpu", "0".to_owned()),
        };
        *by_devices.entry(devices).or_insert(0) += count;
    }
    let by_devices = by_devices
        .into_iter()
        .map(|((device, gpus), count)| (vec![("device", device.to_owned()), ("gpus", gpus)], count as f64));
    sheet.add(gauge(
        "queued_experiments",
        "Queued experiments by the devices that they need",
        by_devices.collect(),
    ));
    let running = state.scheduler.running_count() as f64;
    sheet.add(gauge(
        "running_experiments",
        "Experiments running on this server",
        one(running),
    ));
    let leases = state.scheduler.leases();
    let gpus = state
        .resources
        .meter
        .devices()
        .gpus
        .into_iter()
        .map(|gpu| Lease::Gpu(gpu.uuid));
    let leased = gpus.chain([Lease::Cpu]).map(|lease| {
        let is_leased = if leases.contains_key(&lease) { 1.0 } else { 0.0 };
        (vec![("device", device_of(lease))], is_leased)
    });
    sheet.add(gauge(
        "device_leased",
        "1 while an experiment of this server leases the device, else 0",
        leased.collect(),
    ));
}

/// Adds the metrics of the meter and of the sources of energy.
fn add_meter(sheet: &mut Sheet, health: &MeterHealth) {
    let of_sources = |value: fn(&SourceHealth) -> Option<f64>| {
        let known = health
            .sources
            .iter()
            .filter_map(|source| Some((labels(source), value(source)?)));
        known.collect::<Vec<_>>()
    };
    let with = |family: Family, kind: MetricType, unit: Option<Unit>| Family { kind, unit, ..family };
    let (counter, seconds) = (MetricType::Counter, Some(Unit::Seconds));
    let power = of_sources(|source| source.power_w);
    sheet.add(with(
        gauge(
            "power",
            "Present power of each source in watts; psys includes packages, and packages include core and uncore",
            power,
        ),
        MetricType::Gauge,
        Some(Unit::Other("watts".to_owned())),
    ));
    let energy = of_sources(|source| Some(source.energy_j));
    sheet.add(with(
        gauge(
            "energy",
            "Joules of each source since the server started, excluding time in which it could not be read; an estimate where source is tdp_estimate",
            energy,
        ),
        counter,
        Some(Unit::Joules),
    ));
    let answers = of_sources(|source| Some(source.answers as f64));
    sheet.add(with(
        gauge("meter_samples", "Successful readings of each source", answers),
        counter,
        None,
    ));
    let failures = of_sources(|source| Some(source.failures as f64));
    sheet.add(with(
        gauge("meter_failures", "Failed readings of each source", failures),
        counter,
        None,
    ));
    let age = of_sources(|source| source.age_sec);
    sheet.add(with(
        gauge(
            "meter_last_sample_age",
            "Seconds since the last successful reading of each source",
            age,
        ),
        MetricType::Gauge,
        seconds.clone(),
    ));
    sheet.add(with(
        gauge(
            "meter_sample_interval",
            "Seconds between two regular readings of all sources",
            one(health.sample_interval_sec),
        ),
        MetricType::Gauge,
        seconds,
    ));
    sheet.add(with(
        gauge(
            "meter_sweeps",
            "Regular readings of all sources",
            one(health.sweeps as f64),
        ),
        counter,
        None,
    ));
    sheet.add(with(
        gauge(
            "meter_missed_sweeps",
            "Regular readings of all sources that were skipped because the meter was delayed",
            one(health.missed_sweeps as f64),
        ),
        counter,
        None,
    ));
    let is_alive = if health.is_alive { 1.0 } else { 0.0 };
    sheet.add(gauge(
        "meter_alive",
        "1 while the meter's thread runs, else 0",
        one(is_alive),
    ));
}

/// Returns the labels of a source. Their number of values is limited by the sources of the host.
fn labels(source: &SourceHealth) -> Vec<(&'static str, String)> {
    let (device, name) = match &source.id.place {
        Place::Gpu { index, uuid } => (uuid.clone(), index.to_string()),
        Place::Zone { name, path } => (path.clone(), name.clone()),
        Place::Host => ("host".to_owned(), "host".to_owned()),
    };
    vec![
        ("source", source.id.kind.as_str().to_owned()),
        ("domain", source.id.domain.as_str().to_owned()),
        ("device", device),
        ("name", name),
    ]
}
