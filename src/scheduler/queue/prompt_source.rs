//! The prompts of a submission that come from a file: read where it is asked, so that they are checked as its own would
//! be, and left in the file, which is known again by its hash.

use crate::scheduler::step::Scheduler;
use joulemark_experiment::{Capabilities, ExperimentRequest, FieldProblem, Load, Spec};
use joulemark_measurement::quoted;

impl Scheduler {
    /// Fills in the lines of the file that a submission names, with the file's hash and their number.
    ///
    /// # Errors
    /// Returns a problem when the file is not had, or is not the one that the submission says.
    pub(super) async fn read_prompt_source(&self, request: &mut ExperimentRequest) -> Result<(), Vec<FieldProblem>> {
        let Some(name) = request.prompt_source.clone() else {
            return Ok(());
        };
        let refused = |field: &str, detail: String| Err(vec![FieldProblem::new(format!("/{field}"), detail)]);
        let (folder, wanted) = (self.context().prompts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || folder.read(&wanted)).await;
        let mut file = match read {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => return refused("prompt_source", format!("is {}, which is {error}", quoted(&name))),
            Err(error) => {
                return refused(
                    "prompt_source",
                    format!("is {}, which could not be read: {error}", quoted(&name)),
                );
            }
        };
        if let Some(wanted) = request
            .prompt_source_sha256
            .as_ref()
            .filter(|wanted| **wanted != file.sha256)
        {
            let detail = format!(
                "is {wanted}, but {} has {} now; leave it out to take the file as it is",
                quoted(&name),
                file.sha256
            );
            return refused("prompt_source_sha256", detail);
        }
        let there = file.lines.len();
        let count = request.prompt_source_count.map_or(there, |count| count as usize);
        if count > there {
            let detail = format!(
                "is {count}; {} has {there} prompts, accepted are 1 to {there}",
                quoted(&name)
            );
            return refused("prompt_source_count", detail);
        }
        file.lines.truncate(count);
        self.context().cluster.add_prompt_file(&name);
        request.prompt_source_count = u32::try_from(count).ok();
        request.prompt_source_sha256 = Some(file.sha256);
        request.prompt_lines = Some(file.lines);
        Ok(())
    }
}

/// Returns the refusal of a node that lacks the file which a submission names.
pub(super) fn lacks_prompt_file(request: &ExperimentRequest, capabilities: &Capabilities) -> Option<FieldProblem> {
    let replayed = request.load.as_ref().and_then(Load::replay).map(|replay| &replay.file);
    let pointer = match replayed {
        Some(_) => "/load/replay/file",
        None => "/prompt_source",
    };
    let (name, there) = (replayed.or(request.prompt_source.as_ref())?, &capabilities.prompt_files);
    let detail = || {
        format!(
            "is {}, which is not in this node's prompts folder, as of the last minute",
            quoted(&name)
        )
    };
    (!there.contains(name)).then(|| FieldProblem::new(pointer, detail()))
}

/// Takes the lines of a file out of a spec, which names the file by its hash.
pub(super) fn without_lines_of_file(mut spec: Spec) -> Spec {
    if spec.prompt_source.is_some() || spec.replayed_prompts().is_some() {
        spec.prompt_lines = Vec::new();
    }
    spec
}
