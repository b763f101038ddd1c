//! Asks a server for some tokens and prints when they arrived: `cargo run -p joulemark-openai --example ask URL`.

use std::time::Duration;

use joulemark_openai::{Client, Extras, Prompt, Request, Sampling, probe};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: ask URL")?;
    let client = Client::new(url.parse()?, None);
    let card = probe(&client, None, TIMEOUT).await?;
    println!("{card:#?}");
    let request = Request {
        model: card.models.first().cloned().unwrap_or_default(),
        prompt: Prompt::user("Write a line about the sea."),
        max_tokens: 16,
        sampling: Sampling::default(),
        extras: Extras {
            ignore_eos: card.ignore_eos == Some(true),
            counts_in_chunks: card.counts_in_chunks,
            ..Extras::default()
        },
    };
    let answer = client.ask(&request, TIMEOUT, |_| ()).await?;
    println!("{answer:#?}");
    Ok(())
}
