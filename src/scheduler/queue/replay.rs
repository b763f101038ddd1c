//! Arrival times of a load that come from a replay file, and the file's prompts if it has any. They are read on
//! submission and stay in the file, which the spec identifies by its hash.

use super::submitted_file::Named;
use crate::scheduler::prompt_files::PromptFolder;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentRequest, FieldProblem, Load, Prompts};
use joulemark_measurement::quoted;

impl Scheduler {
    /// Adds the content of the named replay file to the submission: its hash, number of requests, and prompts.
    ///
    /// # Errors
    /// Returns a problem when the file cannot be used, does not match the submission, or has prompts although the
    /// submission has some too.
    pub(super) async fn read_replay(&self, request: &mut ExperimentRequest) -> Result<(), Vec<FieldProblem>> {
        let Some(Load::Replay { replay }) = &mut request.load else {
            return Ok(());
        };
        let refused = |pointer: &str, detail: String| Err(vec![FieldProblem::new(pointer, detail)]);
        let name = replay.file.clone();
        if request.prompt_source.is_some() {
            let detail = "is given together with load.replay; accepted is one of the two, and the file of the replay may \
                          have the prompts";
            return refused("/prompt_source", detail.to_owned());
        }
        let named = Named {
            name: ("/load/replay/file", &name),
            sha256: ("/load/replay/sha256", replay.sha256.as_deref()),
            count: ("/load/replay/requests", replay.requests),
            holds: "requests",
        };
        let read = self.read_named(named, PromptFolder::read_replay, |lines| lines.due_sec.len());
        let (mut file, count) = read.await?;
        file.lines.prompts.truncate(count);
        replay.requests = u32::try_from(count).ok();
        replay.sha256 = Some(file.sha256);
        replay.has_prompts = !file.lines.prompts.is_empty();
        let has_others = match &request.prompts {
            Some(Prompts::Texts(texts)) => !texts.is_empty(),
            others => others.is_some(),
        };
        let has_lines = request.prompt_lines.as_ref().is_some_and(|lines| !lines.is_empty());
        if replay.has_prompts && (has_others || has_lines) {
            let pointer = if has_lines { "/prompt_lines" } else { "/prompts" };
            let detail = format!(
                "are given, but {} has prompts too; accepted are only those of the file",
                quoted(&name)
            );
            return refused(pointer, detail);
        }
        if replay.has_prompts {
            request.prompt_lines = Some(file.lines.prompts);
        } else if !has_others {
            request.prompts = None;
        }
        self.context().cluster.add_prompt_file(&name);
        Ok(())
    }
}
