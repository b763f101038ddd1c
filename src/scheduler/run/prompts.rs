//! The prompts of a run that come from a file: the same bytes as when the experiment was submitted, or none.

use super::failure::Stop;
use crate::scheduler::prompt_files::PromptFolder;
use joulemark_experiment::Spec;
use joulemark_measurement::quoted;

/// Returns the spec as the workers get it, with the lines of the file that it names.
///
/// # Errors
/// Returns [`Stop::Prompts`] when the file is gone, or another one than at the submission.
pub async fn for_workers(folder: &PromptFolder, spec: &Spec) -> Result<Spec, Stop> {
    let Some(name) = spec.prompt_source.clone() else {
        return Ok(spec.clone().for_workers(Vec::new()));
    };
    let (folder, wanted) = (folder.clone(), name.clone());
    let read = tokio::task::spawn_blocking(move || folder.read(&wanted)).await;
    let read = read.map_err(|error| Stop::Server(format!("the prompts could not be read: {error}")))?;
    let mut file = read.map_err(|error| Stop::Prompts(format!("{} is {error}", quoted(&name))))?;
    let submitted = spec.prompt_source_sha256.as_deref().unwrap_or_default();
    if file.sha256 != submitted {
        let now = file.sha256;
        let message = format!(
            "{} has changed on this node: its SHA-256 was {submitted} when it was submitted, and is {now} now",
            quoted(&name)
        );
        return Err(Stop::Prompts(message));
    }
    file.lines
        .truncate(spec.prompt_source_count.unwrap_or(u32::MAX) as usize);
    Ok(spec.clone().for_workers(file.lines))
}
