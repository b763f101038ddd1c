//! The prompts of a submission that come from a file: read where it is asked, so that they are checked as its own would
//! be, and left in the file, which is known again by its hash.

use super::submitted_file::Named;
use crate::scheduler::prompt_files::PromptFolder;
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
    if spec.has_prompts_of_a_file() {
        spec.prompt_lines = Vec::new();
    }
    spec
}
