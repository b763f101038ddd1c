//! `joulemark submit`: submits the experiment of each file, or repeats one from a server's output.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::arguments::{OutputArguments, ServerArguments};
use super::given_file::{STANDARD_INPUT, document, media_type, read_file, read_input};
use super::session::{self, Session};
use super::{ending::Ending, error_text, metrics, outlook, prompt_file, sweep, watch::watch};
use crate::client::{ClientError, Document, MediaType};
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{ExperimentId, PromptLine, Repeat, State};

#[derive(Debug, Args)]
pub struct SubmitArguments {
    /// Files with one experiment each, in JSON or YAML; - is standard input. Results, a shown experiment or a line of
    /// an export are accepted too, and repeat their experiment.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Send the prompts of a local JSON Lines file instead of the experiment's. Each line is `{"prompt": "…"}` or
    /// `{"messages": [{"role": "user", "content": "…"}]}`, optionally with its own `max_output_tokens`.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Wait until each experiment ends, in order. Prints its results, or the experiment if it has none; the exit code
    /// tells which.
    #[arg(long)]
    wait: bool,
    /// Run each experiment N times, as a sweep of one point, so that intervals are over whole runs. Prints the ID of
    /// the sweep, and its table with --wait.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "strict")]
    repeat: Option<u32>,
    /// Fail if a repeated experiment ran with other model files or prompts than the results given, or gave other
    /// answers. Model files are compared after the run. The results must contain the SHA-256 of the files.
    #[arg(long, requires = "wait")]
    strict: bool,
    /// Print only the IDs, at once, and only errors on standard error.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: SubmitArguments) -> ExitCode {
    // Standard input is read before Ctrl-C is handled, so that Ctrl-C ends a wait for it.
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
    let prompts = arguments.prompts.as_deref().map(prompt_file::read).transpose()?;
    if let Some(repeats) = arguments.repeat {
        return repeat_all(session, arguments, (input.as_deref(), prompts.as_deref()), repeats).await;
    }
    let shared = Shared {
        input: input.as_deref(),
        prompts: prompts.as_deref(),
        is_strict: arguments.strict,
    };
    let mut ending = Ending::Done;
    let mut accepted = Vec::new();
    for file in &arguments.files {
        session.reporter.set_interruption_note(format!(
            "it is unknown whether the server accepted {}; `joulemark list` shows it",
            file.display()
        ));
        match submit(session, file, &shared).await {
            Ok((document, repeats)) => {
                announce(session, arguments, &document)?;
                accepted.push((document, repeats));
            }
            // A rejected file does not stop the others; an error that they would meet as well does.
            Err(error) if Ending::of_error(&error) == Ending::Refused && arguments.files.len() > 1 => {
                session
                    .reporter
                    .say_always(&format!("joulemark: {}", error_text::text(&error)));
                ending = ending.and(Ending::Refused);
            }
            Err(error) => {
                if !error
                    .chain()
                    .any(|cause| cause.downcast_ref().is_some_and(ClientError::may_have_succeeded))
                {
                    session.reporter.set_interruption_note("");
                }
                return Err(error);
            }
        }
    }
    session.reporter.set_interruption_note("");
    if arguments.wait {
        for (document, repeats) in &accepted {
            ending = ending.and(wait(session, arguments, document, repeats.as_ref()).await?);
        }
    }
    Ok(ending)
}

/// Inputs that all submitted files share.
struct Shared<'a> {
    /// Content of standard input, if a file is named "-".
    input: Option<&'a [u8]>,
    prompts: Option<&'a [PromptLine]>,
    is_strict: bool,
}

/// Submits one file; returns the accepted experiment, and the experiment that it repeats.
async fn submit(session: &Session, file: &Path, shared: &Shared<'_>) -> anyhow::Result<(Document, Option<Repeat>)> {
    let (shown, bytes) = read_file(file, shared.input)?;
    let repeats = serde_json::from_slice(&bytes)
        .ok()
        .and_then(|document| Repeat::of(&document));
    let is_manifest = repeats.as_ref().is_some_and(|repeat| repeat.is_manifest);
    let Some(repeat) = &repeats else {
        let media_type = media_type(file, &bytes);
        let sent = match shared.prompts {
            None => session.server.submit(&bytes, media_type).await,
            Some(lines) => {
                let experiment =
                    prompt_file::put_into(document(&bytes, media_type).with_context(|| shown.clone())?, lines);
                session
                    .server
                    .submit(experiment.to_string().as_bytes(), MediaType::Json)
                    .await
            }
        };
        return Ok((sent.context(shown)?, None));
    };
    let experiment = match shared.prompts {
        Some(lines) => prompt_file::put_into(repeat.experiment.clone(), lines),
        None => repeat.experiment.clone(),
    };
    if repeat.withheld_prompts > 0 && shared.prompts.is_none() {
        bail!(
            "{shown} omits {} prompts, so the experiment cannot be repeated from it; its submitter and admins get \
             them from `joulemark results`, exports contain none; or send other prompts by --prompts FILE",
            repeat.withheld_prompts
        );
    }
    if repeat.dropped_prompts > 0 && shared.prompts.is_none() {
        bail!(
            "{shown} no longer has its {} prompts: the server deleted them (prompt_retention_days). To repeat it, write \
             them into \"prompts\" and remove \"prompts_dropped\", or send them by --prompts FILE; \
             `prompts_dropped.sha256` shows whether they are the same",
            repeat.dropped_prompts
        );
    }
    if let Some(missing) = repeat.missing_digests().filter(|_| runs_a_model(repeat)) {
        if shared.is_strict {
            bail!("{shown} has {missing}, which --strict needs; use the results: `joulemark results ID --json`");
        }
        session.reporter.say(&format!(
            "warning: {shown} has {missing}: it is unknown whether the model is the same"
        ));
    }
    if is_manifest && shared.prompts.is_none() {
        // Sent unchanged: the server compares the hashes of a manifest.
        let sent = session.server.submit(&bytes, MediaType::Json).await;
        return Ok((sent.context(shown)?, repeats));
    }
    let (body, submitted_with) = prompt_file::take_digest(experiment, shared.is_strict);
    let sent = session
        .server
        .submit(body.to_string().as_bytes(), MediaType::Json)
        .await;
    let shown = match &sent {
        Err(ClientError::Refused(problem)) if problem.short_kind() == "priority-too-high" => {
            format!(
                "{shown} repeats an experiment of priority {}",
                repeat.experiment["priority"]
            )
        }
        _ => shown,
    };
    let sent = sent.context(shown)?;
    if let Some(other) = submitted_with.and_then(|digest| prompt_file::changed_file(&digest, &sent.value)) {
        session.reporter.say(&format!("warning: {other}"));
    }
    Ok((sent, repeats))
}

/// Submits the experiment of each file as a sweep of one point.
async fn repeat_all(
    session: &Session,
    arguments: &SubmitArguments,
    (input, prompts): (Option<&[u8]>, Option<&[PromptLine]>),
    repeats: u32,
) -> anyhow::Result<Ending> {
    let mut experiments = Vec::new();
    for file in &arguments.files {
        let (shown, bytes) = read_file(file, input)?;
        let read = document(&bytes, media_type(file, &bytes)).with_context(|| shown.clone())?;
        let experiment = match Repeat::of(&read) {
            Some(repeat) if repeat.is_manifest => bail!(
                "{shown} is a manifest, and a sweep does not compare its hashes; --repeat accepts an experiment: submit \
                 the manifest without --repeat, or only its \"experiment\""
            ),
            Some(repeat) => repeat.experiment,
            None => read,
        };
        let experiment = match prompts {
            Some(lines) => prompt_file::put_into(experiment, lines),
            None => experiment,
        };
        experiments.push((shown, experiment));
    }
    let mut accepted = Vec::new();
    for (shown, experiment) in experiments {
        let body = serde_json::json!({"base": experiment, "repeats": repeats}).to_string();
        let sent = session.server.submit_sweep(body.as_bytes(), MediaType::Json).await;
        accepted.push(sent.context(shown)?);
    }
    let mut ending = Ending::Done;
    for document in &accepted {
        ending = ending.and(
            sweep::follow(
                session,
                document,
                &sweep::FollowOptions::new(arguments.wait, arguments.quiet),
            )
            .await?,
        );
    }
    Ok(ending)
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
    let before_it = [
        ("queue", outlook::queue(&document.value)),
        ("duration", outlook::estimate(&document.value)),
    ];
    for (what, said) in before_it {
        if let Some(said) = said {
            session.reporter.say(&format!("{what}: {said}"));
        }
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

/// Returns whether the experiment runs a model; the synthetic engine has no model files to compare.
fn runs_a_model(repeat: &Repeat) -> bool {
    let name = repeat.experiment["model_name"].as_str();
    !name.is_some_and(|name| name.starts_with(SYNTHETIC_PREFIX))
}

/// Returns a message if the model files differ from those of the repeated results.
fn other_model(repeats: &Repeat, results: &Value) -> Option<String> {
    let differences = repeats.differences(&Repeat::of(results)?);
    (!differences.is_empty()).then(|| {
        let listed = differences.join("\n  ");
        format!("the model differs from that of the repeated results:\n  {listed}")
    })
}

/// Comparison of a repetition's answers with the original ones.
struct Answers {
    is_same: bool,
    message: String,
}

/// Compares the answers of a repetition with the original ones; returns `None` when they cannot be compared.
fn answers(repeats: &Repeat, results: &Value) -> Option<Answers> {
    let is_same = repeats.has_outputs_of(&Repeat::of(results)?)?;
    let of = match results["outputs"]["of"].as_str() {
        Some("token_ids") => "token for token",
        _ => "by SHA-256 of their texts",
    };
    let message = match is_same {
        true => format!("the answers are the same as in the repeated results, {of}"),
        false => format!("warning: the answers differ from those in the repeated results, compared {of}"),
    };
    Some(Answers { is_same, message })
}

async fn wait(
    session: &Session,
    arguments: &SubmitArguments,
    document: &Document,
    repeats: Option<&Repeat>,
) -> anyhow::Result<Ending> {
    let id: ExperimentId = document.id().parse().context("the server's response has no id")?;
    let state = watch(session, id, |_| {}).await?;
    let repeats = repeats.filter(|repeats| {
        let can_compare = !repeats.model_sha256.is_empty() || !repeats.outputs.is_empty();
        can_compare && state == State::Completed
    });
    if arguments.quiet && repeats.is_none() {
        return Ok(Ending::of_state(state));
    }
    if state == State::Completed {
        let results = session.server.results(id).await?;
        if let Some(told) = repeats.and_then(|repeats| answers(repeats, &results.value)) {
            if arguments.strict && !told.is_same {
                bail!("{id}: {}", told.message);
            }
            session.reporter.say(&told.message);
        }
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
            session.reporter.say(&format!("all metrics: joulemark results {id}"));
        }
        return Ok(Ending::Done);
    }
    if state == State::Cancelled
        && let Some(results) = session.server.results_so_far(id).await?
    {
        match session.is_json() {
            true => session.print_document(&results)?,
            false => session.print(&metrics::table(&results.value))?,
        }
        return Ok(Ending::of_state(state));
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
    fn a_different_model_is_reported_with_each_differing_file() {
        let results = |one: &str, other: &str| {
            serde_json::json!({"experiment": {"model_name": "m"}, "validation": {},
                "model": {"sha256": [{"file": "m.gguf", "sha256": one}, {"file": "n.gguf", "sha256": other}]}})
        };
        let repeats = Repeat::of(&results("aa", "cc")).unwrap();
        assert_eq!(other_model(&repeats, &results("aa", "cc")), None);
        let said = other_model(&repeats, &results("bb", "dd")).unwrap();
        assert!(
            said.contains("m.gguf had aa, now bb") && said.contains("n.gguf had cc, now dd"),
            "{said}"
        );
        let none = serde_json::json!({"experiment": {}, "validation": {}, "model": {"sha256": []}});
        assert!(other_model(&repeats, &none).unwrap().contains("is not among"));
        assert!(runs_a_model(&repeats));
    }
}
