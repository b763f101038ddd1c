//! `joulemark` as a client, run as a script runs it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
}

impl Said {
    pub fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            errors: text(output.stderr),
        }
    }

    /// Each line as the JSON that it must be.
    pub fn lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(read).collect()
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerrors: {}", self.out, self.errors);
        self
    }
}

/// Without what the environment of the tests may say.
pub fn command(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    command.args(arguments).env("JOULEMARK_SERVER", server);
    for variable in [
        "JOULEMARK_API_KEY",
        "JOULEMARK_API_KEY_FILE",
        "JOULEMARK_CACERT",
        "NO_COLOR",
        "http_proxy",
        "HTTP_PROXY",
    ] {
        command.env_remove(variable);
    }
    command
}

pub fn run(server: &str, arguments: &[&str]) -> Said {
    Said::of(
        command(server, arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs"),
    )
}

pub fn run_with_input(server: &str, arguments: &[&str], input: &str) -> Said {
    let mut command = command(server, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input.as_bytes())
        .expect("it reads");
    Said::of(child.wait_with_output().expect("it is ours"))
}

pub fn synthetic(parameters: &str) -> Value {
    json!({"model_name": format!("synthetic:{parameters}"), "prompts": ["a", "b"], "max_output_tokens": 4, "num_cycles": 2,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

/// Long enough to be interrupted.
pub fn slow() -> Value {
    synthetic("decode_ms=5000")
}

pub fn submit(server: &str, experiment: &Value) -> String {
    let said = run_with_input(server, &["submit", "-q", "-"], &experiment.to_string()).ended(0);
    said.out.trim().to_owned()
}
