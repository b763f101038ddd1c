//! A collector that takes OTLP over HTTP: it keeps the spans that a server sends, read from the protobuf's own wire format,
//! so that what is proven is what goes over the wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, extract::State, routing::post};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    pub name: String,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
    /// Trace and span that it is linked to.
    pub links: Vec<(String, String)>,
    /// 2 is an error.
    pub status: u64,
    pub message: String,
    /// Of the resource that it belongs to.
    pub service: String,
}

#[derive(Clone)]
pub struct Collector {
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, spans }
    }

    /// Once there is such a span; all of them.
    pub async fn until(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        for _ in 0..600 {
            let spans = self.spans.lock().unwrap().clone();
            if spans.iter().any(&wanted) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came: {:#?}", self.spans.lock().unwrap());
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    spans.lock().unwrap().extend(read(&body));
    StatusCode::OK
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Fields by number, in order, of one message.
fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Number(u64::from_le_bytes(part(&mut message, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut message) as usize;
                Field::Bytes(part(&mut message, length))
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(part(&mut message, 4).try_into().unwrap()))),
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = part(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn part<'a>(message: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = message.split_at(length);
    *message = rest;
    first
}

fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let wanted = fields(message).into_iter().filter(|(of, _)| *of == number);
    let bytes = wanted.filter_map(|(_, field)| match field {
        Field::Bytes(bytes) => Some(bytes),
        Field::Number(_) => None,
    });
    bytes.collect()
}

fn text(message: &[u8], number: u64) -> String {
    all(message, number)
        .first()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .unwrap_or_default()
}

fn number(message: &[u8], number: u64) -> u64 {
    let found = fields(message).into_iter().find_map(|(of, field)| match field {
        Field::Number(value) if of == number => Some(value),
        _ => None,
    });
    found.unwrap_or_default()
}

fn hex(message: &[u8], number: u64) -> String {
    let bytes = all(message, number).first().copied().unwrap_or_default();
    hex::encode(bytes)
}

fn attributes(message: &[u8], number_of_list: u64) -> BTreeMap<String, String> {
    let pairs = all(message, number_of_list).into_iter().map(|pair| {
        let value = all(pair, 2)[0];
        let shown = match text(value, 1) {
            empty if empty.is_empty() => number(value, 3).to_string(),
            shown => shown,
        };
        (text(pair, 1), shown)
    });
    pairs.collect()
}

/// An ExportTraceServiceRequest of opentelemetry-proto.
fn read(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in all(body, 1) {
        let resource = attributes(all(of_resource, 1)[0], 1);
        for of_scope in all(of_resource, 2) {
            spans.extend(all(of_scope, 2).into_iter().map(|span| {
                let status = all(span, 15).first().copied().unwrap_or_default();
                Span {
                    trace: hex(span, 1),
                    id: hex(span, 2),
                    parent: hex(span, 4),
                    name: text(span, 5),
                    start_ns: number(span, 7),
                    end_ns: number(span, 8),
                    attributes: attributes(span, 9),
                    links: all(span, 13)
                        .into_iter()
                        .map(|link| (hex(link, 1), hex(link, 2)))
                        .collect(),
                    status: number(status, 3),
                    message: text(status, 2),
                    service: resource["service.name"].clone(),
                }
            }));
        }
    }
    spans
}
