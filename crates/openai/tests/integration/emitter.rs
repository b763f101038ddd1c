//! A server that writes given bytes at given times, and notes when it did.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_openai::{Client, Extras, Prompt, Request, Sampling};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What an emitter does next on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    /// Ends the connection with a reset, as a server that dies does.
    Reset,
}

pub fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_owned())
}

pub fn pause_ms(milliseconds: u64) -> Step {
    Step::Pause(Duration::from_millis(milliseconds))
}

/// Returns the head of an event stream that ends with its connection.
pub fn stream_head() -> Step {
    write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
}

/// Returns the head of an event stream in chunks, and a piece of it as one chunk.
pub fn chunked_head() -> Step {
    write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
}

pub fn chunked(piece: impl AsRef<[u8]>) -> Step {
    let piece = piece.as_ref();
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    Step::Write(bytes)
}

pub fn chunked_end() -> Step {
    write("0\r\n\r\n")
}

/// Returns an answer of a status with a text.
pub fn page(status: &str, text: &str) -> Vec<Step> {
    let length = text.len();
    vec![write(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}"))]
}

/// Returns an event with an object.
pub fn event(object: &str) -> String {
    format!("data: {object}\n\n")
}

/// Returns an event of a text, as a chat's.
pub fn text(text: &str) -> String {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#))
}

/// A running emitter. It answers every request by its script, which may look at the request.
pub struct Emitter {
    port: u16,
    /// What was asked, head and body, and when each write of its answer was done.
    written: Arc<Mutex<Vec<Written>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

pub type Written = (String, Vec<Monotonic>);

impl Emitter {
    pub async fn start(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let emitter = Self {
            port,
            written: Arc::default(),
            asked: Arc::default(),
        };
        let (written, asked, script) = (emitter.written.clone(), emitter.asked.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (written, asked, script) = (written.clone(), asked.clone(), script.clone());
                tokio::spawn(async move {
                    let mut connection = connection;
                    let request = read_request(&mut connection).await;
                    let steps = script(&request);
                    asked.lock().expect("no test panics with it").push(request.clone());
                    let at = emit(connection, steps).await;
                    written.lock().expect("no test panics with it").push((request, at));
                });
            }
        });
        emitter
    }

    pub fn client(&self) -> Client {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        Client::new(endpoint.parse().expect("an address"), None)
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }

    /// Returns when each write was done, once `connections` have ended.
    pub async fn written(&self, connections: usize) -> Vec<Written> {
        loop {
            let written = self.written.lock().expect("no test panics with it").clone();
            if written.len() >= connections {
                return written;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let read = connection.read_buf(&mut bytes).await.expect("the client lives");
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                return text.into_owned();
            }
        }
        assert!(read > 0, "the request ends early");
    }
}

async fn emit(mut connection: TcpStream, steps: Vec<Step>) -> Vec<Monotonic> {
    connection.set_nodelay(true).expect("an open connection");
    let mut written = Vec::new();
    for step in steps {
        match step {
            Step::Pause(period) => tokio::time::sleep(period).await,
            Step::Write(bytes) => {
                // A client that has what it wants closes the connection.
                if connection.write_all(&bytes).await.is_err() {
                    break;
                }
                written.push(Monotonic::now());
            }
            Step::Reset => {
                connection.set_zero_linger().expect("an open connection");
                break;
            }
        }
    }
    written
}

/// Returns a request for four tokens.
pub fn request() -> Request {
    Request {
        model: "m".to_owned(),
        prompt: Prompt::user("Hello"),
        max_tokens: 4,
        sampling: Sampling::default(),
        extras: Extras::default(),
    }
}

pub const TIMEOUT: Duration = Duration::from_secs(20);
