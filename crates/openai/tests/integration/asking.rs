use std::time::Duration;

use joulemark_openai::{Client, Extras, Prompt, Request, Sampling};
use joulemark_testkit::openai_emitter::Emitter;

pub const TIMEOUT: Duration = Duration::from_secs(20);

pub fn client(emitter: &Emitter) -> Client {
    Client::new(emitter.url().parse().expect("an address"), None)
}

/// Returns a request for four tokens.
pub fn request() -> Request {
    Request {
        model: "tiny".to_owned(),
        prompt: Prompt::user("Hello"),
        max_tokens: 4,
        sampling: Sampling::default(),
        extras: Extras::default(),
    }
}
