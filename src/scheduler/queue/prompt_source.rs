//! Prompts of a submission that come from a prompt file. They are read on submission to be checked like prompts in the
//! request, and stay in the file, which the spec identifies by its hash.

use super::submitted_file::Named;
use crate::scheduler::prompt_files::PromptFolder;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{Capabilities, ExperimentRequest, FieldProblem, Load, Spec};
use joulemark_measurement::quoted;

impl Scheduler {
    /// Adds the lines of the named prompt file to the submission, with their number and the file's hash.
    ///
    /// # Errors
    /// Returns a problem when the file cannot be used or does not match the submission's hash or count.
    pub(super) async fn read_prompt_source(&self, request: &mut ExperimentRequest) -> Result<(), Vec<FieldProblem>> {
        let Some(name) = request.prompt_source.clone() else {
            return Ok(());
        };
        let named = Named {
            name: ("/prompt_source", &name),
            sha256: ("/prompt_source_sha256", request.prompt_source_sha256.as_deref()),
            count: ("/prompt_source_count", request.prompt_source_count),
            holds: "prompts",
        };
        let (mut file, count) = self.read_named(named, PromptFolder::read, Vec::len).await?;
        file.lines.truncate(count);
        self.context().cluster.add_prompt_file(&name);
        request.prompt_source_count = u32::try_from(count).ok();
        request.prompt_source_sha256 = Some(file.sha256);
        request.prompt_lines = Some(file.lines);
        Ok(())
    }
}

/// Returns a problem when a node lacks the prompt file or replay file of a submission.
pub(super) fn lacks_prompt_file(request: &ExperimentRequest, capabilities: &Capabilities) -> Option<FieldProblem> {
    let replayed = request.load.as_ref().and_then(Load::replay).map(|replay| &replay.file);
    let pointer = match replayed {
        Some(_) => "/load/replay/file",
        None => "/prompt_source",
    };
    let (name, there) = (replayed.or(request.prompt_source.as_ref())?, &capabilities.prompt_files);
    let detail = || {
        format!(
            "is {}, which is not in this node's prompts folder (listed within the last minute)",
            quoted(&name)
        )
    };
    (!there.contains(name)).then(|| FieldProblem::new(pointer, detail()))
}

/// Removes the lines that come from a file; the spec identifies the file by its hash.
pub(super) fn without_lines_of_file(mut spec: Spec) -> Spec {
    if spec.has_prompts_of_a_file() {
        spec.prompt_lines = Vec::new();
    }
    spec
}
