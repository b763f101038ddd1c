use std::time::Duration;

/// A step of an answer. After the last step the emitter closes the connection.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<u8>),
    /// Write bytes that contain this many tokens, and record when.
    Tokens(Vec<u8>, u32),
    Pause(Duration),
    /// Reset the connection, as when a server dies.
    Reset,
}

/// Returns a step that writes bytes without tokens.
pub fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_owned())
}

/// Returns a step that writes bytes with one token.
pub fn tokens(text: impl AsRef<[u8]>) -> Step {
    Step::Tokens(text.as_ref().to_owned(), 1)
}

/// Returns a step that waits.
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

/// Returns the end of a body in HTTP chunks.
pub fn chunked_end() -> Step {
    write("0\r\n\r\n")
}

fn http_chunk(piece: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Returns an answer with a status, such as `503 Service Unavailable`, and a text.
pub fn page(status: &str, text: &str) -> Vec<Step> {
    let length = text.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    vec![write(head + text)]
}

/// Returns an event whose data is an object.
pub fn event(object: &str) -> String {
    format!("data: {object}\n\n")
}

/// Returns a chat event with a text.
pub fn text(text: &str) -> String {
    event(&format!(
        r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}
