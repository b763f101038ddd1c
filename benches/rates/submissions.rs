use super::database::Database;
use super::server::Server;
use super::wrk::{Load, SUBMITTERS};

const SECONDS: u32 = 5;
/// Nothing is counted.
const NO_LIMIT: [&str; 2] = ["--max-queued", "0"];
/// Every group is counted, and none refused.
const LIMIT: [&str; 2] = ["--max-queued", "10000000"];

/// Nothing of what is submitted starts: one experiment that only sleeps has the host's CPU.
pub fn measure(database: &Database, size: u32) {
    for (name, options) in [("without a limit on the queue", NO_LIMIT), ("with one", LIMIT)] {
        let server = Server::start(database, &options);
        server.occupy();
        let before = database.count();
        let waiting = database.number("SELECT COUNT(*) FROM experiments WHERE state = 'queued'");
        let fsyncs_before = fsyncs_of_postgres(database);
        let load = Load::submit(&server.url, SECONDS);
        println!("submissions with {size} stored and {waiting} waiting, {name}: {load}");
        let new = database.count() - before;
        if let Some((before, after)) = fsyncs_before.zip(fsyncs_of_postgres(database)) {
            let fsyncs = after - before;
            println!(
                "  {new} submissions, {fsyncs} fsyncs of the log: {:.1} submissions an fsync",
                f64::from(new) / fsyncs as f64
            );
        }
        // What was answered, and those whose answers wrk no longer waited for.
        let expected = load.requests..=load.requests + SUBMITTERS;
        assert!(
            expected.contains(&new),
            "{} were answered, {new} are stored",
            load.requests
        );
    }
}

/// Of the write-ahead log, by the database's own account.
fn fsyncs_of_postgres(database: &Database) -> Option<i64> {
    let is_postgres = !database.is_sqlite();
    is_postgres.then(|| database.number("SELECT wal_sync FROM pg_stat_wal"))
}

/// SQLite's, by the system calls.
pub fn fsyncs(database: &Database) {
    let server = Server::start_under_strace(database, &LIMIT);
    server.occupy();
    let before = database.count();
    let load = Load::submit(&server.url, SECONDS);
    let (stored, fsyncs) = (database.count() - before, server.stop_and_count_fsyncs());
    println!(
        "under strace, which slows it: {stored} submissions at {:.0}/s, {fsyncs} fsyncs from start to stop: {:.1} \
         submissions an fsync",
        load.per_second,
        f64::from(stored) / f64::from(fsyncs)
    );
}
