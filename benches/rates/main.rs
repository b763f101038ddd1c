//! What the service bears over HTTP on SQLite, loaded by wrk, which shares the machine with it:
//! `cargo bench --bench rates`, after `apt-get install wrk strace`. Needs 8 GB of disk and about five minutes.
//!
//! Submissions: rate, latency, and how many of them share an fsync. Reads: p50 and p99 with 1,000 and with 1,000,000
//! experiments stored, each with its report and two labels. `-- reads` and `-- export` run these alone; the latter takes
//! every experiment in every format, with the server's peak memory.

mod export;
mod fill;
mod server;
mod wrk;

use server::Server;
use wrk::Load;

const SIZES: [u32; 2] = [1_000, 1_000_000];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = |what: &str| std::env::args().any(|argument| argument == what);
    if asked("reads") {
        return reads(&folder.path().join("many.db"));
    }
    if asked("export") {
        return exports(&folder.path().join("many.db"));
    }
    let few = folder.path().join("few.db");
    let template = template(&few);
    fill::fill(&few, &template, 0..SIZES[0]);
    submissions(&few, SIZES[0]);
    fsyncs(&folder.path().join("fsync.db"));
    let many = folder.path().join("many.db");
    reads(&many);
    submissions(&many, SIZES[1]);
}

/// A real result to copy.
fn template(database: &std::path::Path) -> String {
    Server::start(database).complete_one()
}

/// Nothing of what is submitted starts: one experiment that only sleeps has the host's CPU.
fn submissions(database: &std::path::Path, size: u32) {
    let server = Server::start(database);
    server.occupy();
    let before = fill::count(database);
    let load = Load::submit(&server.url, 10);
    println!("submissions with {size} stored: {load}");
    // What was answered, and those whose answers wrk no longer waited for.
    let (expected, new) = (
        load.requests..=load.requests + wrk::SUBMITTERS,
        fill::count(database) - before,
    );
    assert!(
        expected.contains(&new),
        "{} were answered, {new} are stored",
        load.requests
    );
}

fn fsyncs(database: &std::path::Path) {
    let server = Server::start_under_strace(database);
    server.occupy();
    let before = fill::count(database);
    let load = Load::submit(&server.url, 5);
    let (stored, fsyncs) = (fill::count(database) - before, server.stop_and_count_fsyncs());
    println!(
        "under strace, which slows it: {stored} submissions at {:.0}/s, {fsyncs} fsyncs from start to stop: {:.1} \
         submissions an fsync",
        load.per_second,
        f64::from(stored) / f64::from(fsyncs)
    );
}

fn exports(database: &std::path::Path) {
    let template = template(database);
    let mut have = 0;
    for size in [10_000, 100_000, SIZES[1]] {
        fill::fill(database, &template, have..size);
        have = size;
        for format in export::FORMATS {
            // The copies and what they are of.
            println!(
                "export, {format:<8} {}",
                export::export(database, format, u64::from(size) + 1)
            );
        }
    }
}

fn reads(database: &std::path::Path) {
    let template = template(database);
    let kinds = [
        "newest page",
        "page at a cursor",
        "one experiment",
        "one result",
        "page of a label",
        "page of a model",
        "oldest page",
        "last finished",
        "finished, cursor",
        "finished, label",
    ];
    let mut p99 = Vec::new();
    let mut have = 0;
    for size in SIZES {
        fill::fill(database, &template, have..size);
        have = size;
        let server = Server::start(database);
        let bytes = std::fs::metadata(database).map_or(0, |file| file.len());
        println!("{size} experiments stored, {:.1} MB", bytes as f64 / 1e6);
        for (index, kind) in kinds.into_iter().enumerate() {
            let load = Load::read(&server.url, kind, size);
            match p99.get(index) {
                None => println!("  {kind:<17} {load}"),
                Some(small) => println!(
                    "  {kind:<17} {load}, p99 {:.2} times that of {}",
                    load.p99_ms / small,
                    SIZES[0]
                ),
            }
            if size == SIZES[0] {
                p99.push(load.p99_ms);
            }
        }
    }
}
