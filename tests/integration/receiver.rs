//! A real receiver of callbacks on a free port: writes down what it gets, and answers as it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub struct Call {
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// As the documentation tells a receiver to compute it.
pub fn signature(secret: &str, call: &Call) -> String {
    let given = call.header("x-joulemark-signature");
    let sec = given
        .strip_prefix("t=")
        .and_then(|rest| rest.split(',').next())
        .expect("a time");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{sec}.{}", call.body).as_bytes());
    let digest = hex::encode(mac.finalize().into_bytes());
    format!("t={sec},v1={digest}")
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    location: Mutex<String>,
    is_paused: AtomicBool,
}

pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Answers with these statuses in turn, and with the last one from then on.
    pub async fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (shared, statuses) = (Arc::new(Shared::default()), statuses.to_vec());
        let accepting = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, shared.clone(), statuses.clone()));
                }
            }
        });
        Self {
            port,
            shared,
            accepting,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    pub fn redirect_to(&self, location: &str) {
        location.clone_into(&mut self.shared.location.lock().unwrap());
    }

    /// Hangs up on everybody.
    pub fn pause(&self) {
        self.shared.is_paused.store(true, Ordering::SeqCst);
    }

    pub fn resume(&self) {
        self.shared.is_paused.store(false, Ordering::SeqCst);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>, statuses: Vec<u16>) {
    if shared.is_paused.load(Ordering::SeqCst) {
        return;
    }
    let reading = tokio::time::timeout(Duration::from_secs(30), read(&mut stream)).await;
    let Ok(Some(call)) = reading else { return };
    let turn = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(call);
        calls.len() - 1
    };
    let status = statuses[turn.min(statuses.len() - 1)];
    let location = shared.location.lock().unwrap().clone();
    let head =
        format!("HTTP/1.1 {status} Status\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let target = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: Vec<_> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length = headers
                .iter()
                .find(|(name, _)| name == "content-length")?
                .1
                .parse::<usize>()
                .ok()?;
            if body.len() >= length {
                let body = body.to_owned();
                return Some(Call { target, headers, body });
            }
        }
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.ok().filter(|length| *length > 0)?;
        text.push_str(std::str::from_utf8(&part[..length]).ok()?);
    }
}
