use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::{TempDir, TempPath};

use super::database::Database;

/// The real server on a free port.
pub struct Server {
    child: Child,
    pub url: String,
    strace: Option<TempPath>,
    _spool: TempDir,
}

impl Server {
    pub fn start(database: &Database, options: &[&str]) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_joulemark"));
        Self::start_as(program, database, options, None)
    }

    /// strace counts every call that waits for the disk, of every thread.
    pub fn start_under_strace(database: &Database, options: &[&str]) -> Self {
        let counts = tempfile::NamedTempFile::new()
            .expect("a temporary file")
            .into_temp_path();
        let mut command = Command::new("strace");
        command
            .args(["-f", "--seccomp-bpf", "-c", "-e", "trace=fsync,fdatasync", "-o"])
            .arg(&counts)
            .arg(env!("CARGO_BIN_EXE_joulemark"));
        Self::start_as(command, database, options, Some(counts))
    }

    fn start_as(mut command: Command, database: &Database, options: &[&str], strace: Option<TempPath>) -> Self {
        let spool = tempfile::tempdir().expect("a temporary folder");
        let mut child = command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn",
                "--allow-synthetic-engine",
            ])
            .args(["--database-url", &database.url()])
            .arg("--spool-dir")
            .arg(spool.path())
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts (strace is there: apt-get install strace)");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("it is text");
        let url = line.strip_prefix("listening on ").expect("it says where it listens");
        Self {
            child,
            url: url.to_owned(),
            strace,
            _spool: spool,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has one experiment run that sleeps for longer than any bench: this one, or that of the server before.
    pub fn occupy(&self) {
        self.submit(&json!({
            "model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 9, "priority": 100,
            "labels": {"bench": "occupies"},
        }));
        let runs = |shown: &Value| shown["state"] != "queued";
        while !self.get("/v1/experiments?label=bench=occupies")["items"]
            .as_array()
            .is_some_and(|items| items.iter().any(runs))
        {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs one experiment to its end; its id.
    pub fn complete_one(&self) -> String {
        let id = self.submit(&json!({
            "model_name": "synthetic:decode_ms=1", "prompts": {"dataset": "short-32"}, "max_output_tokens": 16,
            "idle_baseline_sec": 0,
        }));
        self.until_completed(&id);
        id
    }

    pub fn until_completed(&self, id: &str) -> Value {
        loop {
            let shown = self.get(&format!("/v1/experiments/{id}"));
            match shown["state"].as_str() {
                Some("completed") => return shown,
                Some("failed") => panic!("{shown:#}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    pub fn stop_and_count_fsyncs(mut self) -> u32 {
        self.stop();
        let counts = self.strace.as_ref().expect("it runs under strace");
        let table = std::fs::read_to_string(counts).expect("strace writes its table");
        // % time, seconds, usecs/call, calls, errors (or nothing), syscall.
        let rows = table
            .lines()
            .filter(|line| line.ends_with(" fsync") || line.ends_with(" fdatasync"));
        let calls = rows.filter_map(|line| line.split_whitespace().nth(3)?.parse::<u32>().ok());
        calls.sum()
    }

    /// strace passes the signal on to nobody: the server itself is its child.
    fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let server = match (&self.strace, children.split_whitespace().next()) {
            (Some(_), Some(child)) => child.parse().unwrap_or(own as i32),
            _ => own as i32,
        };
        let _ = kill(Pid::from_raw(server), Signal::SIGTERM);
        let _ = self.child.wait();
    }

    /// The most memory that it ever had (VmHWM).
    pub fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kilobytes.expect("the kernel says it") * 1024
    }

    pub fn submit(&self, experiment: &Value) -> String {
        let answer = curl(&[
            "-H",
            "Content-Type: application/json",
            "-d",
            &experiment.to_string(),
            &format!("{}/v1/experiments", self.url),
        ]);
        let id = answer["id"]
            .as_str()
            .unwrap_or_else(|| panic!("not accepted: {answer:#}"));
        id.to_owned()
    }

    fn get(&self, path: &str) -> Value {
        curl(&[&format!("{}{path}", self.url)])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn curl(arguments: &[&str]) -> Value {
    let mut child = Command::new("curl")
        .arg("-s")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is there");
    let mut text = String::new();
    let read = child.stdout.take().expect("it is piped").read_to_string(&mut text);
    read.expect("it answers with text");
    child.wait().expect("curl ends");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}
