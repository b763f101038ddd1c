use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use serde_json::Value;

use crate::programs::program;

/// Maximum time that a test waits for anything, chosen for a busy host.
const PATIENCE: Duration = Duration::from_secs(240);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The real program on a free port, with its own database and empty models folder. Dropping it fails the test when a
/// worker outlives it.
pub struct Server {
    child: Child,
    pub url: String,
    pub folder: PathBuf,
    client: reqwest::Client,
    /// The folder is removed after the server that writes into it has ended.
    owner: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts a server that accepts the synthetic engine.
    pub fn start() -> Self {
        Self::start_with(&["--allow-synthetic-engine"])
    }

    /// Starts a server with these options.
    pub fn start_with(options: &[&str]) -> Self {
        let owner = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::start_in(owner.path(), options);
        server.owner = Some(owner);
        server
    }

    /// Starts a server with these environment variables in addition to the test's.
    pub fn start_with_environment(options: &[&str], environment: &[(&str, &str)]) -> Self {
        let owner = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::start_as(&program(), owner.path(), (options, environment));
        server.owner = Some(owner);
        server
    }

    /// Starts a server in a folder that outlives it, so that another server can take over its database.
    pub fn start_in(folder: &Path, options: &[&str]) -> Self {
        Self::start_program_in(&program(), folder, options)
    }

    /// Starts a server from another program file.
    pub fn start_program_in(program: &Path, folder: &Path, options: &[&str]) -> Self {
        Self::start_as(program, folder, (options, &[]))
    }

    fn start_as(program: &Path, folder: &Path, (options, environment): (&[&str], &[(&str, &str)])) -> Self {
        let models = folder.join("models");
        std::fs::create_dir_all(&models).expect("a models folder");
        let mut command = Command::new(program);
        command.arg("serve");
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if !options.contains(&"--database-url") {
            let database = format!("sqlite://{}", folder.join("joulemark.db").display());
            command.args(["--database-url", &database]);
        }
        if !options.contains(&"--lock-dir") {
            command.arg("--lock-dir").arg(folder.join("locks"));
        }
        // Next to the database, where that is a file.
        if options.contains(&"--database-url") && !options.contains(&"--spool-dir") {
            command.arg("--spool-dir").arg(folder.join("spool"));
        }
        if !options.contains(&"--models-dir") {
            command.arg("--models-dir").arg(&models);
        }
        // Even where the test runs under a service manager, this server is not its service.
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            command.env_remove(variable);
        }
        for variable in ["JOULEMARK_DATABASE_URL", "DATABASE_URL", "JOULEMARK_CONFIG"] {
            command.env_remove(variable);
        }
        // Backtraces would push the worker's last words out of the log tail.
        for variable in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
            command.env_remove(variable);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"));
        let mut child = command
            .args(options)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log file"))
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = lines.next().and_then(Result::ok).unwrap_or_else(|| {
            panic!(
                "the server did not start: {}",
                std::fs::read_to_string(folder.join("server.log")).unwrap_or_default()
            )
        });
        let url = line
            .strip_prefix("listening on ")
            .expect("it says where it listens")
            .to_owned();
        Self {
            child,
            url,
            folder: folder.to_owned(),
            client: reqwest::Client::new(),
            owner: None,
        }
    }

    /// Returns the status and the body of a page; a body that is not JSON as a text.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Posts a body and returns the response.
    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self
            .client
            .post(format!("{}{path}", self.url))
            .header("content-type", content_type)
            .body(body);
        request.send().await.expect("an answer")
    }

    /// Submits an experiment and returns the status and the body.
    pub async fn submit(&self, experiment: &Value) -> (StatusCode, Value) {
        let response = self
            .post("/v1/experiments", "application/json", experiment.to_string())
            .await;
        (response.status(), response.json().await.expect("JSON"))
    }

    /// Submits an experiment that must be accepted and returns its id.
    pub async fn accepted(&self, experiment: &Value) -> String {
        let (status, body) = self.submit(experiment).await;
        assert_eq!(status, StatusCode::CREATED, "{body:#}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Returns the experiment as the API shows it.
    pub async fn show(&self, id: &str) -> Value {
        self.get(&format!("/v1/experiments/{id}")).await.1
    }

    /// Cancels an experiment and returns the status and the body.
    pub async fn cancel(&self, id: &str) -> (StatusCode, Value) {
        let response = self
            .post(&format!("/v1/experiments/{id}/cancel"), "application/json", "")
            .await;
        (response.status(), response.json().await.expect("JSON"))
    }

    /// Waits until `good` holds for the experiment, and returns it.
    pub async fn until(&self, id: &str, good: impl Fn(&Value) -> bool) -> Value {
        let start = Monotonic::now();
        loop {
            let shown = self.show(id).await;
            if good(&shown) {
                return shown;
            }
            assert!(
                Monotonic::now().sec_since(start) < PATIENCE.as_secs_f64(),
                "it never came to that: {shown:#}\n{}",
                self.log()
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until the experiment is in a state, which must not be another final one, and returns it.
    pub async fn until_state(&self, id: &str, state: &str) -> Value {
        let shown = self
            .until(id, |shown| is_finished(shown) || shown["state"] == state)
            .await;
        assert_eq!(shown["state"], state, "{shown:#}\n{}", self.log());
        shown
    }

    /// Returns the results of a completed experiment.
    pub async fn results(&self, id: &str) -> Value {
        let (status, body) = self.get(&format!("/v1/experiments/{id}/results")).await;
        assert_eq!(status, StatusCode::OK, "{body:#}");
        body
    }

    /// Returns the experiment's ranks and cycles.
    pub async fn processes(&self, id: &str) -> Value {
        let (status, body) = self.get(&format!("/v1/experiments/{id}/processes")).await;
        assert_eq!(status, StatusCode::OK, "{body:#}");
        body
    }

    /// Waits until a line of the server's log contains all of `parts`.
    pub async fn until_logged(&self, parts: &[&str]) {
        let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
        let start = Monotonic::now();
        while !self.log().lines().any(has_all) {
            let waited_sec = Monotonic::now().sec_since(start);
            assert!(
                waited_sec < PATIENCE.as_secs_f64(),
                "it never said {parts:?}:\n{}",
                self.log()
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Returns the server's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Returns the server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the process ids of the server's workers.
    pub fn workers(&self) -> Vec<u32> {
        workers_of(self.pid())
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("it runs");
    }

    /// Waits until the server has ended by itself, and returns its exit status.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it is ours")
    }

    /// Ends the server like a service manager, and waits for it.
    pub fn stop(&mut self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGTERM).expect("it runs");
        assert!(self.child.wait().expect("it is ours").success());
    }

    /// Ends the server like a power cut.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.pid();
        // After it was waited for, its process id may belong to another process.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGTERM);
            let _ = self.child.wait();
        }
        let left = no_workers_within(pid, Duration::from_secs(3));
        if !std::thread::panicking() {
            assert_eq!(left, Vec::<u32>::new(), "workers outlive their server");
        }
    }
}

/// Returns whether an experiment is in a final state.
pub fn is_finished(shown: &Value) -> bool {
    ["completed", "failed", "cancelled"]
        .iter()
        .any(|state| shown["state"] == *state)
}

/// Returns the process ids of the workers of a server, which may have ended.
pub fn workers_of(server: u32) -> Vec<u32> {
    let mark = format!("--parent-pid\0{server}\0");
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        // The command line of a zombie is empty.
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&mark))
    })
    .collect()
}

/// Waits for the workers of a server to end and returns those that have not.
pub fn no_workers_within(server: u32, patience: Duration) -> Vec<u32> {
    let start = Monotonic::now();
    loop {
        let left = workers_of(server);
        if left.is_empty() || Monotonic::now().sec_since(start) > patience.as_secs_f64() {
            return left;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
