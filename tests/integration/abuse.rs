//! What one caller can do to the others from within the limits: nothing. Attacks that last, each with what others get
//! meanwhile; `deploy/HOSTILE.md` lists them.

mod connections;
mod database;
mod places;

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::guarded::{Guarded, connect};

/// One that is never finished by itself.
fn slow() -> Value {
    json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4})
}

/// Sends the head of a request for FLOPs, which a reader may ask for, and the first byte of its body.
async fn half_a_body(guarded: &Guarded, key: &str) -> TcpStream {
    let mut stream = connect(&guarded.server).await;
    let half = format!(
        "POST /v1/flops HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nConnection: close\r\n\r\n{{"
    );
    stream.write_all(half.as_bytes()).await.expect("it is sent");
    stream
}

/// Asks on a connection whose client has room for little, so that an answer waits for it in the server.
async fn ask_narrowly(guarded: &Guarded, path: &str, key: &str) -> TcpStream {
    let address: SocketAddr = guarded.server.url["http://".len()..].parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("a connection");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    stream
}

/// Another host, as far as this one can be several.
fn from_elsewhere() -> reqwest::Client {
    let client = reqwest::Client::builder().local_address(Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    client.build().expect("a client")
}
