//! What the service bears over HTTP on SQLite, loaded by wrk, which shares the machine with it:
//! `cargo bench --bench rates`, after `apt-get install wrk strace`. Needs 8 GB of disk and about five minutes.
//!
//! Submissions: rate, latency, and how many of them share an fsync. Reads: p50 and p99 with 1,000 and with 1,000,000
//! experiments stored, each with its report and two labels.

mod fill;
mod server;
mod wrk;

use server::Server;
use wrk::Load;

const SIZES: [u32; 2] = [1_000, 1_000_000];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    submissions(&folder.path().join("rate.db"));
    fsyncs(&folder.path().join("fsync.db"));
    reads(&folder.path().join("reads.db"));
}

/// Nothing of what is submitted starts: one experiment that only sleeps has the host's CPU.
fn submissions(database: &std::path::Path) {
    let server = Server::start(database);
    server.occupy();
    let load = Load::submit(&server.url, 10);
    println!("submissions: {load}");
    // The one that sleeps, and those whose answers wrk no longer waited for.
    let expected = load.requests + 1..=load.requests + 1 + wrk::SUBMITTERS;
    let stored = server.stored();
    assert!(
        expected.contains(&stored),
        "{} were answered, {stored} are stored",
        load.requests
    );
}

fn fsyncs(database: &std::path::Path) {
    let server = Server::start_under_strace(database);
    server.occupy();
    let before = server.stored();
    let load = Load::submit(&server.url, 5);
    let (stored, fsyncs) = (server.stored() - before, server.stop_and_count_fsyncs());
    println!(
        "under strace, which slows it: {stored} submissions at {:.0}/s, {fsyncs} fsyncs from start to stop: {:.1} \
         submissions an fsync",
        load.per_second,
        f64::from(stored) / f64::from(fsyncs)
    );
}

fn reads(database: &std::path::Path) {
    let template = {
        let server = Server::start(database);
        server.complete_one()
    };
    let kinds = [
        "newest page",
        "page at a cursor",
        "one experiment",
        "one result",
        "page of a label",
        "page of a model",
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
