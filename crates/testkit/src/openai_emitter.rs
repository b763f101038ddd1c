//! An HTTP server that writes given bytes at given times and records when it did, as the truth to compare a client of
//! OpenAI-compatible servers with. [`Speaker`] writes what real servers write; a test's own script writes irregular
//! answers.

mod asked;
mod speaker;
mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub use asked::Asked;
pub use speaker::{Dialect, Honours, PromptCache, Speaker};
pub use steps::{
    Step, chunked, chunked_end, chunked_head, chunked_tokens, event, page, pause_ms, stream_head, text, tokens, write,
};

/// An answer that was written.
#[derive(Clone, Debug)]
pub struct Written {
    pub asked: Asked,
    /// When each write of tokens began, and how many tokens it contained.
    pub tokens: Vec<(Monotonic, u32)>,
}

impl Written {
    /// Returns when the first tokens were written.
    ///
    /// # Panics
    /// Panics when there were none.
    pub fn first_token_at(&self) -> Monotonic {
        self.tokens.first().expect("tokens were written").0
    }

    /// Returns the time per output token after the first, in seconds.
    ///
    /// # Panics
    /// Panics when there were fewer than two tokens.
    pub fn tpot_sec(&self) -> f64 {
        let count: u32 = self.tokens.iter().map(|(_, count)| count).sum();
        let (last, _) = self.tokens.last().expect("tokens were written");
        assert!(count > 1, "one token has no time between tokens");
        last.sec_since(self.first_token_at()) / f64::from(count - 1)
    }
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    written: Vec<Written>,
    peak_in_flight: usize,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
}

/// A running emitter on its own thread. Its script answers every request. It ends when it is dropped.
pub struct Emitter {
    port: u16,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Emitter {
    /// Starts an emitter on a free port.
    ///
    /// # Panics
    /// Panics when there is no free port.
    pub fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("an open socket");
        let port = listener.local_addr().expect("it is bound").port();
        let (shared, stop) = (Arc::<Shared>::default(), CancellationToken::new());
        let serving = serve(listener, shared.clone(), Arc::new(script), stop.clone());
        let thread = std::thread::Builder::new().name("emitter".to_owned()).spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serving);
        });
        Self {
            port,
            shared,
            stop,
            thread: Some(thread.expect("a thread")),
        }
    }

    /// Starts an emitter that answers like a real server.
    pub fn speaking(speaker: Speaker) -> Self {
        Self::start(move |asked| speaker.answer(asked))
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns all requests so far, in the order of their arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.log(|log| log.asked.clone())
    }

    /// Returns the requests for tokens so far.
    pub fn asked_for_tokens(&self) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(Asked::is_for_tokens);
        asked
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns the maximum number of answers with unwritten tokens at any time.
    pub fn peak_in_flight(&self) -> usize {
        self.log(|log| log.peak_in_flight)
    }

    /// Waits for `count` answers with tokens and returns all that were written.
    pub async fn written(&self, count: usize) -> Vec<Written> {
        loop {
            let written = self.log(|log| log.written.clone());
            if written.len() >= count {
                return written;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn log<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.shared.log.lock().expect("no script panics with it"))
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A script that panicked already fails its test by the missing answer.
            let _ = thread.join();
        }
    }
}

type Script = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, script: Arc<Script>, stop: CancellationToken) {
    let listener = TcpListener::from_std(listener).expect("a runtime");
    let accept = async {
        while let Ok((connection, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(connection, shared.clone(), script.clone()));
        }
    };
    stop.run_until_cancelled(accept).await;
}

async fn answer(mut connection: TcpStream, shared: Arc<Shared>, script: Arc<Script>) {
    let Some((head, body)) = read_request(&mut connection).await else {
        return;
    };
    let in_flight = shared.in_flight.fetch_add(1, Ordering::SeqCst);
    let asked = {
        let mut log = shared.log.lock().expect("no script panics with it");
        let asked = Asked {
            number: log.asked.len(),
            path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            head,
            in_flight,
        };
        log.asked.push(asked.clone());
        log.peak_in_flight = log.peak_in_flight.max(in_flight + 1);
        asked
    };
    let tokens = emit(connection, script(&asked), InFlight(&shared.in_flight)).await;
    if !tokens.is_empty() {
        let mut log = shared.log.lock().expect("no script panics with it");
        log.written.push(Written { asked, tokens });
    }
}

/// Reads head and body of a request; returns `None` where the client disconnects earlier.
async fn read_request(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(END.len()).position(|window| window == END) else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        let head = with_lower_case_names(&head);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(0, |length| length.trim().parse().expect("a length is a number"));
        let body = &bytes[end + END.len()..];
        if body.len() >= length {
            return Some((head, body.to_vec()));
        }
    }
}

fn with_lower_case_names(head: &str) -> String {
    let lines = head.lines().map(|line| match line.split_once(':') {
        Some((name, value)) if !name.contains(' ') => format!("{}:{value}", name.to_ascii_lowercase()),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// An answer that counts as in flight until it is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes the steps and returns when tokens were written. The answer is in flight until just before its last tokens are
/// written, since a client that has them may send the next request before this function returns.
async fn emit(mut connection: TcpStream, steps: Vec<Step>, in_flight: InFlight<'_>) -> Vec<(Monotonic, u32)> {
    connection.set_nodelay(true).expect("an open connection");
    let last_tokens = steps.iter().rposition(|step| matches!(step, Step::Tokens(..)));
    let (mut in_flight, mut written) = (Some(in_flight), Vec::new());
    for (index, step) in steps.into_iter().enumerate() {
        if last_tokens.is_none_or(|last| index >= last) {
            in_flight.take();
        }
        let bytes = match step {
            Step::Pause(period) => {
                tokio::time::sleep(period).await;
                continue;
            }
            Step::Write(bytes) => bytes,
            Step::Tokens(bytes, count) => {
                written.push((Monotonic::now(), count));
                bytes
            }
            Step::Reset => {
                connection.set_zero_linger().expect("an open connection");
                break;
            }
        };
        // A client that has all it needs closes the connection.
        if connection.write_all(&bytes).await.is_err() {
            break;
        }
    }
    written
}
