//! Adds to a spec what comes from a file, prompts and arrival times, after checking that the file has not changed since
//! the submission.

use super::failure::Stop;
use crate::scheduler::prompt_files::{PromptFile, PromptFileError, PromptFolder};
use joulemark_experiment::{Load, Spec};
use joulemark_measurement::quoted;

/// Returns the spec as the workers get it, with the lines of its prompt file or replay file.
///
/// # Errors
/// Returns [`Stop::Prompts`] when the file is missing or has changed since the submission.
pub async fn for_workers(folder: &PromptFolder, spec: &Spec) -> Result<Spec, Stop> {
    let mut spec = spec.clone();
    if let Some(Load::Replay { replay }) = &mut spec.load {
        let mut lines = read(
            folder,
            &replay.file,
            replay.sha256.as_deref(),
            PromptFolder::read_replay,
        )
        .await?;
        let count = replay.requests.unwrap_or(u32::MAX) as usize;
        lines.due_sec.truncate(count);
        lines.prompts.truncate(count);
        replay.due_sec = lines.due_sec;
        return Ok(spec.for_workers(lines.prompts));
    }
    let Some(name) = &spec.prompt_source else {
        return Ok(spec.for_workers(Vec::new()));
    };
    let mut lines = read(folder, name, spec.prompt_source_sha256.as_deref(), PromptFolder::read).await?;
    lines.truncate(spec.prompt_source_count.unwrap_or(u32::MAX) as usize);
    Ok(spec.for_workers(lines))
}

async fn read<T: Send + 'static>(
    folder: &PromptFolder,
    name: &str,
    submitted: Option<&str>,
    reading: fn(&PromptFolder, &str) -> Result<PromptFile<T>, PromptFileError>,
) -> Result<T, Stop> {
    let (folder, wanted) = (folder.clone(), name.to_owned());
    let read = tokio::task::spawn_blocking(move || reading(&folder, &wanted)).await;
    let read = read.map_err(|error| Stop::Server(format!("the prompts cannot be read: {error}")))?;
    let file = read.map_err(|error| Stop::Prompts(format!("{} is {error}", quoted(&name))))?;
    let submitted = submitted.unwrap_or_default();
    if file.sha256 != submitted {
        let now = file.sha256;
        let message = format!(
            "{} has changed on this node: its SHA-256 was {submitted} at the submission and is now {now}",
            quoted(&name)
        );
        return Err(Stop::Prompts(message));
    }
    Ok(file.lines)
}
