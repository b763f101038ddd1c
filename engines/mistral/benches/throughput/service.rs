use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// The real server on a free port, with its own database.
pub struct Service {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Service {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = format!("sqlite://{}", folder.path().join("bench.db").display());
        let mut child = Command::new(joulemark_testkit::program())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn",
                "--database-url",
                &database,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = lines.next().expect("it says where it listens").expect("it is text");
        let url = line
            .strip_prefix("listening on ")
            .expect("it says where it listens")
            .to_owned();
        Self {
            child,
            url,
            _folder: folder,
        }
    }

    /// Runs one experiment until it has finished and returns its results.
    pub async fn run(&self, model: &str, prompts: usize, output_tokens: usize) -> Value {
        let client = reqwest::Client::new();
        let experiment = json!({
            "model_name": model,
            "device": "cpu",
            "prompts": {"dataset": "short-32", "count": prompts},
            "max_output_tokens": output_tokens,
            "min_output_tokens": output_tokens,
            "num_cycles": 1,
        });
        let url = format!("{}/v1/experiments", self.url);
        let submitted = client
            .post(&url)
            .json(&experiment)
            .send()
            .await
            .expect("the server answers");
        let submitted: Value = submitted.json().await.expect("JSON");
        let url = format!(
            "{url}/{}",
            submitted["id"]
                .as_str()
                .unwrap_or_else(|| panic!("not accepted: {submitted}"))
        );
        loop {
            // Frequent requests would use the CPU time that is measured.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let shown: Value = client
                .get(&url)
                .send()
                .await
                .expect("an answer")
                .json()
                .await
                .expect("JSON");
            match shown["state"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => panic!("{shown}"),
                _ => {}
            }
        }
        client
            .get(format!("{url}/results"))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
