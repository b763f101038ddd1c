//! `joulemark submit`: a file each experiment, or what a server said of one that is to be repeated.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::arguments::{OutputArguments, ServerArguments};
use super::session::{self, Session};
use super::{complaint, ending::Ending, metrics, watch::watch};
use crate::client::{ClientError, Document, MediaType};
use joulemark_experiment::{ExperimentId, Repeat, State};

#[derive(Debug, Args)]
pub struct SubmitArguments {
    /// Files with an experiment each, JSON or YAML; - is standard input. Results, an experiment as it is shown and a line of
    /// an export repeat theirs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Wait for the ends, in order. The JSON is then each one's results, or the experiment that has none; the exit code says
    /// which.
    #[arg(long)]
    wait: bool,
    /// Take it for an error when a repeated experiment ran with other model files than the results that it repeats. Their
    /// digests are known once it has run.
    #[arg(long, requires = "wait")]
    strict: bool,
    /// Print the ids alone, at once, and say nothing on standard error but errors.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

pub fn run(arguments: SubmitArguments) -> ExitCode {
    // Before anything catches an interrupt: a terminal may leave us waiting here.
    let from_input = arguments.files.iter().any(|file| file == Path::new(STANDARD_INPUT));
    let input = from_input.then(read_input);
    session::run(
        &arguments.server,
        Some(&arguments.output),
        arguments.quiet,
        async |session| submit_all(session, &arguments, input).await,
    )
}

async fn submit_all(
    session: &Session,
    arguments: &SubmitArguments,
    input: Option<io::Result<Vec<u8>>>,
) -> anyhow::Result<Ending> {
    let input = input.transpose().context("standard input")?;
    let mut ending = Ending::Done;
    let mut accepted = Vec::new();
    for file in &arguments.files {
        session.reporter.set_last_words(format!(
            "whether the server has accepted {} is not known; `joulemark list` shows it",
            file.display()
        ));
        match submit(session, file, input.as_deref()).await {
            Ok((document, repeats)) => {
                announce(session, arguments, &document)?;
                accepted.push((document, repeats));
            }
            // What is refused does not keep the others back; what every one of them would meet does.
            Err(error) if Ending::of_error(&error) == Ending::Refused && arguments.files.len() > 1 => {
                session
                    .reporter
                    .complain(&format!("joulemark: {}", complaint::text(&error)));
                ending = ending.and(Ending::Refused);
            }
            Err(error) => {
                if !error
                    .chain()
                    .any(|cause| cause.downcast_ref().is_some_and(ClientError::leaves_it_open))
                {
                    session.reporter.set_last_words("");
                }
                return Err(error);
            }
        }
    }
    session.reporter.set_last_words("");
    if arguments.wait {
        for (document, repeats) in &accepted {
            ending = ending.and(wait(session, arguments, document, repeats.as_ref()).await?);
        }
    }
    Ok(ending)
}

/// Returns the experiment that was accepted, and what it repeats.
async fn submit(session: &Session, file: &Path, input: Option<&[u8]>) -> anyhow::Result<(Document, Option<Repeat>)> {
    let (shown, bytes) = match input.filter(|_| file == Path::new(STANDARD_INPUT)) {
        Some(input) => ("standard input".to_owned(), Ok(input.to_owned())),
        None => (file.display().to_string(), std::fs::read(file)),
    };
    let bytes = bytes.with_context(|| shown.clone())?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        bail!("{shown} is empty; accepted is an experiment as JSON or YAML, such as {{\"model_name\": \"…\"}}");
    }
    let repeats = serde_json::from_slice(&bytes)
        .ok()
        .and_then(|document| Repeat::of(&document));
    let Some(repeat) = &repeats else {
        let sent = session.server.submit(&bytes, media_type(file, &bytes)).await;
        return Ok((sent.context(shown)?, None));
    };
    if repeat.withheld_prompts > 0 {
        bail!(
            "{shown} leaves {} prompts out, which this experiment cannot be repeated without; its submitter and admins see \
             them in `joulemark results`, and an export holds none",
            repeat.withheld_prompts
        );
    }
    if repeat.dropped_prompts > 0 {
        bail!(
            "{shown} has no prompts any more: the server has dropped its {} (prompt_retention_days). To repeat it, write \
             them into \"prompts\" and take \"prompts_dropped\" out; `prompts_dropped.sha256` says whether they are the same",
            repeat.dropped_prompts
        );
    }
    let body = repeat.experiment.to_string();
    let sent = session.server.submit(body.as_bytes(), MediaType::Json).await;
    Ok((sent.context(shown)?, repeats))
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// By the name, else by the text: what begins like a JSON object is sent as one, so that its errors are JSON's.
fn media_type(file: &Path, bytes: &[u8]) -> MediaType {
    let extension = file.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => MediaType::Json,
        Some("yaml" | "yml") => MediaType::Yaml,
        _ => {
            let mut first = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
            let quoted = first.next() == Some(&b'{') && first.next().is_some_and(|byte| b"\"}".contains(byte));
            if quoted { MediaType::Json } else { MediaType::Yaml }
        }
    }
}

fn announce(session: &Session, arguments: &SubmitArguments, document: &Document) -> anyhow::Result<()> {
    let id = document.id();
    for warning in document.value["warnings"].as_array().into_iter().flatten() {
        let word = |name: &str| warning[name].as_str().unwrap_or("?");
        session
            .reporter
            .say(&format!("warning: {}: {}", word("code"), word("message")));
    }
    if arguments.quiet {
        return session.print(id);
    }
    match (arguments.wait, session.is_json()) {
        (true, _) => session.reporter.say(&format!("submitted {id}")),
        (false, true) => session.print_document(document)?,
        (false, false) => {
            session.print(id)?;
            session
                .reporter
                .say(&format!("watch it with: joulemark status {id} --watch"));
        }
    }
    Ok(())
}

/// Returns how a repeated experiment's model files differ from those that it ran with before.
fn other_model(repeats: &Repeat, results: &Value) -> Option<String> {
    let now = Repeat::of(results)?.model_sha256;
    let differs = |(file, digest): &&(String, String)| {
        let known = now.iter().find(|(name, _)| name == file);
        known.is_none_or(|(_, other)| other != digest)
    };
    let (file, digest) = repeats.model_sha256.iter().find(differs)?;
    let known = now.iter().find(|(name, _)| name == file);
    let now = known.map_or("is not among the model's files", |(_, digest)| digest.as_str());
    Some(format!(
        "the model is another one than in the results that are repeated: {file} had {digest}, now {now}"
    ))
}

async fn wait(
    session: &Session,
    arguments: &SubmitArguments,
    document: &Document,
    repeats: Option<&Repeat>,
) -> anyhow::Result<Ending> {
    let id: ExperimentId = document.id().parse().context("the server's answer has no id")?;
    let state = watch(session, id, |_| {}).await?;
    let repeats = repeats.filter(|repeats| !repeats.model_sha256.is_empty() && state == State::Completed);
    if arguments.quiet && repeats.is_none() {
        return Ok(Ending::of_state(state));
    }
    if state == State::Completed {
        let results = session.server.results(id).await?;
        if let Some(other) = repeats.and_then(|repeats| other_model(repeats, &results.value)) {
            if arguments.strict {
                bail!("{id}: {other}");
            }
            session.reporter.say(&format!("warning: {other}"));
        }
        if arguments.quiet {
            return Ok(Ending::Done);
        }
        if session.is_json() {
            session.print_document(&results)?;
        } else {
            session.print(&metrics::headlines(&results.value))?;
            session.reporter.say(&format!("everything: joulemark results {id}"));
        }
        return Ok(Ending::Done);
    }
    let shown = session.server.show(id).await?;
    if session.is_json() {
        session.print_document(&shown)?;
    } else {
        session.print(&super::rows::block(&shown.value, session.has_colours()))?;
    }
    Ok(Ending::of_state(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_than_that_of_the_results_is_told_with_its_file() {
        let results = |digest: &str| {
            serde_json::json!({"experiment": {"model_name": "m"}, "validation": {},
                "model": {"sha256": [{"file": "m.gguf", "sha256": digest}]}})
        };
        let repeats = Repeat::of(&results("aa")).unwrap();
        assert_eq!(other_model(&repeats, &results("aa")), None);
        let said = other_model(&repeats, &results("bb")).unwrap();
        assert!(said.contains("m.gguf had aa, now bb"), "{said}");
        let none = serde_json::json!({"experiment": {}, "validation": {}, "model": {"sha256": []}});
        assert!(other_model(&repeats, &none).unwrap().contains("is not among"));
    }

    #[test]
    fn a_body_is_sent_as_what_its_name_says_else_as_what_it_is() {
        for (name, text, expected) in [
            ("a.json", "{", MediaType::Json),
            ("a.YML", "{}", MediaType::Yaml),
            ("a.yaml", "a: 1", MediaType::Yaml),
            ("-", "{\"a\": 1}", MediaType::Json),
            ("-", " {\n\"a\" ", MediaType::Json),
            ("-", "{a: 1}", MediaType::Yaml),
            ("a.txt", "a: 1", MediaType::Yaml),
        ] {
            assert_eq!(media_type(Path::new(name), text.as_bytes()), expected, "{name} {text}");
        }
    }
}
