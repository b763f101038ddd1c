//! A server with authentication, and what a test needs to talk to it: keys made as an admin makes them, and requests
//! byte by byte.

use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::Server;

pub struct Guarded {
    pub server: Server,
    client: reqwest::Client,
    database: String,
    _folder: tempfile::TempDir,
}

impl Guarded {
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = format!("sqlite://{}", folder.path().join("joulemark.db").display());
        Self::start_with(database, folder, options)
    }

    /// On a database elsewhere.
    pub fn start_on(database: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let all = [&["--database-url", database], options].concat();
        Self::start_with(database.to_owned(), folder, &all)
    }

    fn start_with(database: String, folder: tempfile::TempDir, options: &[&str]) -> Self {
        let mut all = vec!["--auth", "keys", "--allow-synthetic-engine"];
        all.extend(options);
        Self {
            server: Server::start_in(folder.path(), &all),
            client: client(),
            database,
            _folder: folder,
        }
    }

    /// Stops the server and starts another one on what it left, with these options.
    pub fn restarted(self, options: &[&str]) -> Self {
        let Self {
            server,
            client,
            database,
            _folder,
        } = self;
        drop(server);
        let mut all = vec!["--auth", "keys", "--allow-synthetic-engine"];
        all.extend(options);
        let server = Server::start_in(_folder.path(), &all);
        Self {
            server,
            client,
            database,
            _folder,
        }
    }

    /// `joulemark key` on the server's database: success, standard output, standard error.
    pub fn key_command(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
        command
            .arg("key")
            .args(arguments)
            .args(["--database-url", &self.database]);
        command.env_remove("JOULEMARK_CONFIG");
        let output = command.output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// A new key, as its owner gets it.
    pub fn key(&self, name: &str, role: &str) -> String {
        let (good, key, errors) = self.key_command(&["create", "--name", name, "--role", role]);
        assert!(good, "{errors}");
        key
    }

    pub async fn send(&self, method: Method, path: &str, key: &str, body: Option<&Value>) -> reqwest::Response {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.server.url))
            .bearer_auth(key);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.expect("an answer")
    }

    pub async fn get(&self, path: &str, key: &str) -> (StatusCode, Value) {
        let response = self.send(Method::GET, path, key, None).await;
        (response.status(), response.json().await.expect("JSON"))
    }

    pub async fn submit(&self, key: &str, experiment: &Value) -> (StatusCode, Value) {
        let response = self.send(Method::POST, "/v1/experiments", key, Some(experiment)).await;
        (response.status(), response.json().await.expect("JSON"))
    }

    /// Submits what must be accepted; its id.
    pub async fn accepted(&self, key: &str, experiment: &Value) -> String {
        let (status, body) = self.submit(key, experiment).await;
        assert_eq!(status, StatusCode::CREATED, "{body:#}");
        body["id"].as_str().expect("an id").to_owned()
    }

    pub async fn cancel(&self, key: &str, id: &str) -> (StatusCode, Value) {
        let path = format!("/v1/experiments/{id}/cancel");
        let response = self.send(Method::POST, &path, key, None).await;
        (response.status(), response.json().await.expect("JSON"))
    }
}

/// Returns a client that takes a new connection for each request. A command of the test blocks the client's thread: an idle
/// connection that the server closes meanwhile (`--header-timeout-sec 1`) would be used once more, and the request lost.
fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    client.build().expect("a client")
}

/// What came back on a connection on which these bytes were sent and nothing more; empty when it was closed without an
/// answer.
pub async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = connect(server).await;
    // The server may have answered and closed before it has read everything.
    let _ = stream.write_all(request).await;
    read_all(&mut stream).await
}

pub async fn connect(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// Bytes that are read at a time.
const PART: usize = 16_384;

/// Until the server closes; fails the test when it never does.
pub async fn read_all(stream: &mut TcpStream) -> String {
    read_while(stream, |_| true).await
}

/// Until `last` has come, or the server closes; fails the test when neither happens.
pub async fn read_until(stream: &mut TcpStream, last: &str) -> String {
    let is_last = |window: &[u8]| window == last.as_bytes();
    let wants_more = |answer: &[u8]| {
        let new = answer.len().saturating_sub(PART + last.len());
        !answer[new..].windows(last.len()).any(is_last)
    };
    read_while(stream, wants_more).await
}

async fn read_while(stream: &mut TcpStream, wants_more: impl Fn(&[u8]) -> bool) -> String {
    let mut answer = Vec::new();
    let reading = async {
        let mut part = vec![0; PART];
        while wants_more(&answer) {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&part[..length]),
            }
        }
    };
    let patience = Duration::from_secs(60);
    let ended = tokio::time::timeout(patience, reading).await;
    assert!(
        ended.is_ok(),
        "the connection stays open after {:?}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}
