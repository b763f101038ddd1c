use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::{Value, json};

/// The real server on a free port, with its own defaults.
pub struct Server {
    child: Child,
    pub address: String,
    client: reqwest::Client,
}

/// Of this process, which has a socket for each client as well.
pub fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the own limit may be raised");
}

impl Server {
    pub fn start(folder: &Path) -> Self {
        let database = format!("sqlite://{}", folder.join("live.db").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn",
                "--allow-synthetic-engine",
            ])
            .args(["--database-url", &database, "--lock-dir"])
            .arg(folder.join("locks"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("it is text");
        let address = line.strip_prefix("listening on http://").expect("it says where");
        Self {
            child,
            address: address.to_owned(),
            client: reqwest::Client::new(),
        }
    }

    /// One experiment that sleeps for longer than any bench.
    pub async fn occupy(&self) {
        let id = self.submit().await;
        while self.get(&format!("/v1/experiments/{id}")).await["state"] == "queued" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn submit(&self) -> String {
        let body = json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 9});
        let url = format!("http://{}/v1/experiments", self.address);
        let answer = self.client.post(url).json(&body).send().await.expect("an answer");
        let shown: Value = answer.json().await.expect("JSON");
        shown["id"].as_str().expect("an id").to_owned()
    }

    pub async fn cancel(&self, id: &str) {
        let url = format!("http://{}/v1/experiments/{id}/cancel", self.address);
        let answer = self.client.post(url).send().await.expect("an answer");
        assert!(answer.status().is_success());
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    }

    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a size");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    pub fn cpu_sec(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // utime and stime are the 12th and 13th behind the name in brackets.
        let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().expect("a rate");
        let of = |index: usize| fields[index].parse::<f64>().expect("a number");
        (of(11) + of(12)) / ticks as f64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
