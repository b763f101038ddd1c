//! What may stand between a client and its server, as bad as it can be made.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one connection, by its request's head.
pub enum Fate {
    Pass,
    /// Answer with this and ask nobody.
    Answer(String),
    /// Hand the request on, and lose the answer.
    LoseAnswer,
    /// Hand the answer on until it has this text, then break off.
    CutAfter(&'static str),
    /// Take the request and never answer.
    Swallow,
}

pub struct Proxy {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that asks `decide`, with the number of the request and its head, and hands on what remains without `prefix`.
    pub async fn before(
        server: &str,
        prefix: &'static str,
        decide: impl Fn(usize, &str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}{prefix}", listener.local_addr().expect("it is bound"));
        let server = server.strip_prefix("http://").expect("an address").to_owned();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (seen, decide) = (heads.clone(), Arc::new(decide));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, decide, server) = (seen.clone(), decide.clone(), server.clone());
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    let _ = serve(client, &server, prefix, &seen, &*decide).await;
                });
            }
        });
        Self { url, heads }
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panicked").clone()
    }
}

async fn serve(
    mut client: TcpStream,
    server: &str,
    prefix: &str,
    seen: &Mutex<Vec<String>>,
    decide: &(impl Fn(usize, &str) -> Fate + ?Sized),
) -> std::io::Result<()> {
    let request = read_request(&mut client).await?;
    let head = String::from_utf8_lossy(&request)
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_owned();
    let number = {
        let mut seen = seen.lock().expect("nobody panicked");
        seen.push(head.clone());
        seen.len() - 1
    };
    let fate = decide(number, &head);
    match &fate {
        Fate::Answer(answer) => return client.write_all(answer.as_bytes()).await,
        Fate::Swallow => return std::future::pending().await,
        Fate::Pass | Fate::LoseAnswer | Fate::CutAfter(_) => {}
    }
    let mut upstream = TcpStream::connect(server).await?;
    // One request a connection, so that each is decided on.
    let request = String::from_utf8_lossy(&request).replacen(&format!(" {prefix}/"), " /", 1);
    let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(request.as_bytes()).await?;
    let (mut part, mut whole) = ([0; 4096], Vec::new());
    loop {
        let length = upstream.read(&mut part).await?;
        if length == 0 {
            return Ok(());
        }
        whole.extend_from_slice(&part[..length]);
        if matches!(fate, Fate::LoseAnswer) {
            continue;
        }
        client.write_all(&part[..length]).await?;
        if let Fate::CutAfter(mark) = fate
            && String::from_utf8_lossy(&whole).contains(mark)
        {
            return Ok(());
        }
    }
}

/// The head, and the body that its Content-Length announces.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let length = client.read(&mut part).await?;
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if length == 0 {
            return Ok(request);
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let announced = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= announced.unwrap_or(0) {
            return Ok(request);
        }
    }
}
