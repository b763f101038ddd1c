//! Engines that are servers: started for an experiment, or attached to.

mod attached;
mod doctor;
mod llama;
mod managed;
mod refused;
mod witness;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_testkit::fake_powercap::{FakePowercap, FakeZone};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::server::Server;

/// What `tests/servers/answering.py` calls the model that it does not have.
const MODEL: &str = "nothing";

fn script() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    folder.join("answering.py").display().to_string()
}

/// A server that runs already: `answering.py` with these arguments.
struct Answering {
    child: Child,
    port: u16,
}

impl Answering {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let (script, shown) = (script(), port.to_string());
        let arguments = [&[script.as_str(), &shown], arguments].concat();
        Self::running(&arguments, environment, port)
    }

    /// A program of Python's that listens on a port.
    fn running(arguments: &[&str], environment: &[(&str, &str)], port: u16) -> Self {
        let child = Command::new("python3")
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("python3 is there");
        let running = Self { child, port };
        let begun = Monotonic::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Monotonic::now().sec_since(begun) < 60.0, "it does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// The models that it serves, once it is ready.
    async fn models(&self) -> Vec<String> {
        let begun = Monotonic::now();
        loop {
            let listed = reqwest::get(format!("{}/v1/models", self.endpoint()))
                .await
                .expect("it answers");
            if listed.status().is_success() {
                let listed: Value = listed.json().await.expect("a list");
                let models = listed["data"].as_array().expect("a list").iter();
                return models
                    .map(|model| model["id"].as_str().expect("a name").to_owned())
                    .collect();
            }
            assert!(Monotonic::now().sec_since(begun) < 60.0, "it is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // With what it has started.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its number").port()
}

/// A service whose engines are those of a configuration file, and whose host draws 20 W.
struct Service {
    server: Server,
    zones: FakePowercap,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(engines: &str) -> Self {
        Self::start_with_environment(engines, &[])
    }

    fn start_with_environment(engines: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let zones = FakePowercap::start(vec![FakeZone::new("intel-rapl:0", "package-0", "constant:20")]);
        let config = config_file(folder.path(), engines);
        let server = Server::start_with_environment(
            &[
                "--config",
                &config.display().to_string(),
                "--allow-synthetic-engine",
                "--rapl-root",
                &zones.root().display().to_string(),
                "--nvml-lib",
                "/nonexistent",
            ],
            environment,
        );
        Self {
            server,
            zones,
            _folder: folder,
        }
    }
}

fn config_file(folder: &Path, engines: &str) -> PathBuf {
    let path = folder.join("joulemark.toml");
    std::fs::write(&path, engines).expect("a file");
    path
}

/// A command that starts `answering.py`, as an engine of the configuration. `rest` stands behind the command's first words.
fn managed(rest: &str) -> String {
    format!(
        "[engines.answering]\nkind = 'openai'\nmodel_name = '{MODEL}'\nhealth = '/health'\nready_sec = 60\n\
         command = ['python3', '{}', '{{port}}', '{{decode_ms}}'{rest}]\n\
         arguments = {{ decode_ms = {{ number = [0.0, 60000.0], default = 2.0 }} }}\n",
        script()
    )
}

fn experiment(engine: &str) -> Value {
    json!({
        "engine": engine, "model_name": MODEL, "prompts": ["one", "two", "three", "four"], "max_output_tokens": 8,
        "min_output_tokens": 8, "num_cycles": 2, "warmup_iterations": 1, "idle_baseline_sec": 0, "batch_size": 2,
    })
}

/// Every request of every cycle has exactly the tokens that were asked for, each in a chunk of its own.
fn are_exact(items: &Value, tokens: usize) {
    let items = items["items"].as_array().expect("a list");
    let requests = items
        .iter()
        .flat_map(|item| item["requests"].as_array().expect("a list"))
        .collect::<Vec<_>>();
    assert_eq!(requests.len(), 8);
    for request in requests {
        assert_eq!(request["output_tokens"], tokens);
        assert_eq!(request["finish_reason"], "length");
        assert_eq!(request["output_token_ids"], json!([]));
        assert_eq!(request["token_monotonic_sec"], json!([]));
        let chunks = request["chunks"].as_array().expect("a list");
        assert_eq!(chunks.len(), tokens, "{request:#}");
        assert!(chunks.iter().all(|chunk| chunk["tokens"] == 1));
        assert_eq!(request["output_text_sha256"].as_str().map(str::len), Some(64));
    }
}
