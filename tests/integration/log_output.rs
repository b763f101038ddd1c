//! The log's reader, or its disk, goes away: the server answers on, and counts what it dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use crate::exposition::read;

/// A server whose log goes where a test says.
struct Logging {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Logging {
    fn start(stderr: Stdio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("joulemark.db").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "debug"])
            .args(["--allow-synthetic-engine", "--database-url", &database, "--lock-dir"])
            .arg(folder.path().join("locks"))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            url,
            _folder: folder,
        }
    }

    async fn dropped_lines(&self) -> f64 {
        let response = reqwest::get(format!("{}/metrics", self.url)).await.unwrap();
        let text = response.text().await.unwrap();
        read(&text).one("joulemark_log_lines_dropped_total", &[])
    }

    /// Asks until lines are dropped; every request has its answer.
    async fn until_lines_are_dropped(&self) {
        for _ in 0..5_000 {
            let response = reqwest::get(format!("{}/v1/experiments", self.url)).await.unwrap();
            assert_eq!(response.status(), 200);
            if self.dropped_lines().await > 0.0 {
                return;
            }
        }
        panic!("no line was dropped");
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_is_dropped_and_every_request_is_answered() {
    let mut server = Logging::start(Stdio::piped());
    drop(server.child.stderr.take());
    server.until_lines_are_dropped().await;
}

#[tokio::test]
async fn a_log_whose_reader_is_stuck_is_dropped_until_it_reads_again() {
    let mut server = Logging::start(Stdio::piped());
    let mut reader = server.child.stderr.take().unwrap();
    server.until_lines_are_dropped().await;
    let mut taken = vec![0; 64 * 1024];
    reader.read_exact(&mut taken).unwrap();
    let response = reqwest::get(format!("{}/v1/experiments/none-of-that-name", server.url)).await;
    assert_eq!(response.unwrap().status(), 400);
    let log = BufReader::new(reader).lines().map(Result::unwrap);
    let mut later = log.skip_while(|line| !line.contains("none-of-that-name"));
    assert!(later.next().is_some(), "what comes later is written");
}

#[tokio::test]
async fn a_log_whose_disk_is_full_is_dropped_and_every_request_is_answered() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = Logging::start(Stdio::from(full));
    server.until_lines_are_dropped().await;
}
