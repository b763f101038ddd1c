//! What it costs to hold clients that follow experiments: `cargo bench --bench live`, or `-- CLIENTS`. Each is a
//! connection with a stream of events on which nothing happens; then something does, and all are told.

mod clients;
mod server;

use std::time::Duration;

use clients::Clients;
use joulemark_measurement::clock::Monotonic;
use server::Server;

const CLIENTS: usize = 10_000;

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let count = asked.unwrap_or(CLIENTS);
    server::allow_many_files();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for (what, path) in [("one experiment", true), ("all experiments", false)] {
            hold(count, what, path).await;
        }
    });
}

async fn hold(count: usize, what: &str, is_of_one: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path());
    server.occupy().await;
    let id = server.submit().await;
    let path = match is_of_one {
        true => format!("/v1/experiments/{id}/events"),
        false => "/v1/events".to_owned(),
    };
    // What the first clients make the server allocate for good is not theirs.
    Clients::open(&server.address, "/v1/events", 100).await.close().await;
    let before = server.rss_bytes();
    let begin = Monotonic::now();
    let mut clients = Clients::open(&server.address, &path, count).await;
    let opened_sec = Monotonic::now().sec_since(begin);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = server.rss_bytes();
    let busy = server.cpu_sec();
    // Long enough for a keep-alive of each.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let idle_cores = (server.cpu_sec() - busy) / 20.0;
    let begin = Monotonic::now();
    server.cancel(&id).await;
    clients.until_all_have("\"state\":\"cancelled\"").await;
    let told_sec = Monotonic::now().sec_since(begin);
    println!(
        "{count} clients of {what}: opened in {opened_sec:.1} s; {:.1} KiB of resident memory a client ({:.0} MiB before, \
         {:.0} MiB held); {:.2} % of a core while idle; all had the news {:.0} ms after the cancel was sent",
        (held as f64 - before as f64) / count as f64 / 1024.0,
        before as f64 / 1048576.0,
        held as f64 / 1048576.0,
        100.0 * idle_cores,
        1000.0 * told_sec,
    );
    clients.close().await;
}
