use std::time::Duration;

/// What an emitter does next on a connection; after the last step it closes it.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<u8>),
    /// Writes bytes that hold so many tokens, and notes when.
    Tokens(Vec<u8>, u32),
    Pause(Duration),
    /// Ends the connection with a reset, as a server that dies does.
    Reset,
}

pub fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_owned())
}

/// Writes what holds one token.
pub fn tokens(text: impl AsRef<[u8]>) -> Step {
    Step::Tokens(text.as_ref().to_owned(), 1)
}

pub fn pause_ms(milliseconds: u64) -> Step {
    Step::Pause(Duration::from_millis(milliseconds))
}

/// Returns the head of an event stream that ends with its connection.
pub fn stream_head() -> Step {
    write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
}

/// Returns the head of an event stream in HTTP chunks.
pub fn chunked_head() -> Step {
    write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
}

/// Returns a piece as one HTTP chunk.
pub fn chunked(piece: impl AsRef<[u8]>) -> Step {
    Step::Write(http_chunk(piece.as_ref()))
}

/// Returns a piece with tokens as one HTTP chunk.
pub fn chunked_tokens(piece: impl AsRef<[u8]>, count: u32) -> Step {
    Step::Tokens(http_chunk(piece.as_ref()), count)
}

pub fn chunked_end() -> Step {
    write("0\r\n\r\n")
}

fn http_chunk(piece: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Returns an answer of a status, such as `503 Service Unavailable`, with a text.
pub fn page(status: &str, text: &str) -> Vec<Step> {
    let length = text.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    vec![write(head + text)]
}

/// Returns an event with an object.
pub fn event(object: &str) -> String {
    format!("data: {object}\n\n")
}

/// Returns an event of a text, as a chat's.
pub fn text(text: &str) -> String {
    event(&format!(
        r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}
