//! One line of the table: what is sent, byte by byte, and what a proper server may answer.

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Keys, a trusted proxy elsewhere, and the hub for one organisation.
    Keys,
    /// No authentication, on a loopback address.
    Open,
    /// Keys, and this host's own proxy is trusted, with an identity header.
    Proxied,
}

#[derive(Clone, Debug)]
pub enum Sent {
    Whole(Vec<u8>),
    /// A byte at a time, for as long as the server listens.
    Dripping(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Row {
    pub what: &'static str,
    pub to: Target,
    /// `401 invalid-key`: the status and the problem's type; `closed` without an answer.
    pub expected: &'static [&'static str],
    pub requests: Vec<Sent>,
}

impl Row {
    pub fn new(what: &'static str, expected: &'static [&'static str], requests: Vec<Vec<u8>>) -> Self {
        Self {
            what,
            to: Target::Keys,
            expected,
            requests: requests.into_iter().map(Sent::Whole).collect(),
        }
    }

    pub fn to(self, to: Target) -> Self {
        Self { to, ..self }
    }

    pub fn dripping(what: &'static str, expected: &'static [&'static str], request: Vec<u8>) -> Self {
        Self {
            requests: vec![Sent::Dripping(request)],
            ..Self::new(what, expected, Vec::new())
        }
    }
}

/// The keys that rows are made with.
pub struct Keys {
    pub good: String,
    pub reader: String,
    pub expired: String,
    pub revoked: String,
    /// Good for a few seconds.
    pub ending: String,
}

impl Keys {
    /// The header line of the good one, a submitter's.
    pub fn header(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.good)
    }
}

pub fn get(target: &str, headers: &str) -> Vec<u8> {
    asked("GET", target, headers, "")
}

pub fn post(headers: &str, body: &str) -> Vec<u8> {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    asked("POST", "/v1/experiments", &headers, body)
}

pub fn yaml(headers: &str, body: &str) -> Vec<u8> {
    let headers = format!("Content-Type: application/yaml\r\n{headers}");
    asked("POST", "/v1/experiments", &headers, body)
}

/// A whole request with the length of its body.
pub fn asked(method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = match (method, body) {
        ("GET", "") => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let line = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    format!("{line}{headers}{length}Connection: close\r\n\r\n{body}").into_bytes()
}
