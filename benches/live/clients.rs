use futures::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// At a time: more would only overflow the queue of connections to be accepted.
const OPENING: usize = 64;

/// Connections on which a stream has begun.
pub struct Clients(Vec<TcpStream>);

impl Clients {
    pub async fn open(address: &str, path: &str, count: usize) -> Self {
        let opening = (0..count).map(|_| open(address, path));
        Self(stream::iter(opening).buffer_unordered(OPENING).collect().await)
    }

    /// Reads every client until `text` has come to it.
    pub async fn until_all_have(&mut self, text: &str) {
        for stream in &mut self.0 {
            read_until(stream, text).await;
        }
    }

    pub async fn close(self) {
        drop(self.0);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

async fn open(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    read_until(&mut stream, "retry: ").await;
    stream
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut got = String::new();
    let mut part = [0; 4096];
    while !got.contains(text) {
        let length = stream.read(&mut part).await.expect("an answer");
        assert!(length > 0, "the server closed after {got}");
        got.push_str(&String::from_utf8_lossy(&part[..length]));
    }
}
