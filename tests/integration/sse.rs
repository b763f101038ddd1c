//! A client of event streams, as plain as the standard has it.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::StatusCode;
use serde_json::Value;

use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: i64,
    pub name: String,
    pub data: Value,
}

pub struct Follow {
    response: Option<reqwest::Response>,
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Follow {
    pub async fn open(server: &Server, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{}{path}", server.url));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        Self::of(request.send().await.expect("an answer"))
    }

    pub fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            response: Some(response),
            text: String::new(),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub async fn text(mut self) -> String {
        self.response.take().expect("an answer").text().await.expect("text")
    }

    /// The next event with data; none when the server has ended the stream.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read_next())
            .await
            .expect("an event in time")
    }

    async fn read_next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = self
                .response
                .as_mut()?
                .chunk()
                .await
                .expect("the stream does not break off")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// All up to the first that is `good`, it included.
    pub async fn until(&mut self, good: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            events.push(event.clone());
            if good(&event) {
                return events;
            }
        }
    }

    /// All that comes before the server ends the stream.
    pub async fn rest(&mut self) -> Vec<Event> {
        let events = futures::stream::unfold(self, |follow| async move { follow.next().await.map(|e| (e, follow)) });
        events.collect().await
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data = field("data")?;
    Some(Event {
        id: field("id").expect("every event has an id").parse().expect("a number"),
        name: field("event").expect("every event has a name").to_owned(),
        data: serde_json::from_str(data).expect("JSON"),
    })
}

pub fn states_of(events: &[Event]) -> Vec<&str> {
    let states = events.iter().filter(|event| event.name == "state");
    states
        .map(|event| event.data["state"].as_str().expect("a state"))
        .collect()
}
