//! What the service bears over HTTP, loaded by wrk, which shares the machine with it; after
//! `apt-get install wrk strace`, and with 20 GB of disk:
//!
//!     cargo bench --bench rates                # SQLite, six minutes
//!     cargo bench --bench rates -- postgres    # on a cluster of its own, which needs PostgreSQL under /usr/lib/postgresql
//!     cargo bench --bench rates -- export      # every experiment in every format, with the server's peak memory
//!     cargo bench --bench rates -- looks       # only what it costs to look at a long queue, on both
//!
//! A number behind these is another one than 1,000,000.
//!
//! Submissions: rate, latency, and how many of them share an fsync. Reads: p50 and p99 with 1,000 and with 1,000,000
//! experiments stored, each with its report and two labels.

mod database;
mod export;
mod fill;
mod looks;
mod reads;
mod server;
mod submissions;
mod wrk;

use database::Database;
use joulemark_testkit::postgres_cluster::PostgresCluster;
use server::Server;

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
/// As PostgreSQL comes, fsync included, but for more than its least memory.
const POSTGRES: &[&str] = &["shared_buffers=1GB", "max_wal_size=8GB"];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = |name: &str| Database::sqlite(folder.path().join(format!("{name}.db")));
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (numbers, names): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.parse::<u32>().is_ok());
    let many = numbers.first().map_or(MANY, |number| number.parse().expect("a number"));
    match names.join(" ").as_str() {
        "" => {
            submissions::fsyncs(&sqlite("fsyncs"));
            measure(&sqlite, many);
        }
        "postgres" => {
            let cluster = PostgresCluster::start_with(POSTGRES);
            measure(&|name| Database::postgres(&cluster, name), many);
        }
        "export" => exports(&sqlite("many"), many),
        "looks" => {
            looks::measure(&sqlite("queue"));
            let cluster = PostgresCluster::start_with(POSTGRES);
            println!("the same on Postgres:");
            looks::measure(&Database::postgres(&cluster, "queue"));
        }
        other => {
            println!("there is no {other:?}; accepted are postgres, export, looks, nothing for SQLite, and a number");
        }
    }
}

fn exports(database: &Database, most: u32) {
    let template = Server::start(database, &[]).complete_one();
    let mut have = 0;
    for size in [most / 100, most / 10, most] {
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

fn measure(database: &dyn Fn(&str) -> Database, size_of_many: u32) {
    let (few, many) = (database("few"), database("many"));
    for (database, size) in [(&few, FEW), (&many, size_of_many)] {
        let template = Server::start(database, &[]).complete_one();
        fill::fill(database, &template, 0..size);
    }
    reads::compare((&few, FEW), (&many, size_of_many));
    reads::cold((&many, size_of_many));
    submissions::measure(&few, FEW);
    submissions::measure(&many, size_of_many);
}
