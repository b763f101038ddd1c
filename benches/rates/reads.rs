//! The same reads of few and of many experiments, by turns: what else the machine does meanwhile falls on both.

use super::database::{Database, bytes_read_from_disk};
use super::server::Server;
use super::wrk::Load;

const KINDS: [&str; 10] = [
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
const ROUNDS: usize = 3;

/// A database and how many experiments it holds.
pub type Stored<'a> = (&'a Database, u32);

pub fn compare(few: Stored<'_>, many: Stored<'_>) {
    let servers = [few, many].map(|(database, size)| {
        database.warm();
        println!("{size} experiments stored, {:.1} MB", database.bytes() as f64 / 1e6);
        (Server::start(database, &[]), size)
    });
    println!("reads, median of {ROUNDS} rounds by turns; all of it was read before, so that the OS had it in memory");
    for kind in KINDS {
        let mut rounds = [Vec::new(), Vec::new()];
        let before = bytes_read_from_disk();
        for _ in 0..ROUNDS {
            for ((server, size), loads) in servers.iter().zip(&mut rounds) {
                loads.push(Load::read(&server.url, kind, *size));
            }
        }
        let read_mb = (bytes_read_from_disk() - before) as f64 / 1e6;
        let [small, large] = rounds.map(Load::median);
        println!("  {kind:<17} {:>8}: {small}", few.1);
        println!(
            "  {:<17} {:>8}: {large}, p99 {:.2} times, {read_mb:.1} MB read from disk meanwhile",
            "",
            many.1,
            large.p99_ms / small.p99_ms
        );
    }
}

/// Right after the operating system forgot the files, as after a restart of the host.
pub fn cold((database, size): Stored<'_>) {
    println!("reads of {size} that the OS has to fetch from disk");
    for kind in ["one experiment", "one result"] {
        database.cool();
        let server = Server::start(database, &[]);
        let before = bytes_read_from_disk();
        let load = Load::read_at_once(&server.url, kind, size);
        let read_mb = (bytes_read_from_disk() - before) as f64 / 1e6;
        println!("  {kind:<17} {size:>8}: {load}, {read_mb:.1} MB read from disk meanwhile");
    }
}
