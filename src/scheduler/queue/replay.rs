//! The times of a load that come from a file, with its prompts where it has them: read where it is asked, and left in the file,
//! which is known again by its hash.

use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentRequest, FieldProblem, Load, Prompts};
use joulemark_measurement::quoted;

impl Scheduler {
    /// Fills in what the file of a replayed load says: its hash, how many requests, and their prompts.
    ///
    /// # Errors
    /// Returns a problem when the file is not had, is not the one that the submission says, or has prompts beside others.
    pub(super) async fn read_replay(&self, request: &mut ExperimentRequest) -> Result<(), Vec<FieldProblem>> {
        let Some(Load::Replay { replay }) = &mut request.load else {
            return Ok(());
        };
        let refused = |pointer: &str, detail: String| Err(vec![FieldProblem::new(pointer, detail)]);
        let name = replay.file.clone();
        if request.prompt_source.is_some() {
            let detail = "stands beside load.replay; accepted is it without: the replay's file may have the prompts";
            return refused("/prompt_source", detail.to_owned());
        }
        let (folder, wanted) = (self.context().prompts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || folder.read_replay(&wanted)).await;
        let mut file = match read {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => return refused("/load/replay/file", format!("is {}, which is {error}", quoted(&name))),
            Err(error) => {
                let detail = format!("is {}, which could not be read: {error}", quoted(&name));
                return refused("/load/replay/file", detail);
            }
        };
        if let Some(wanted) = replay.sha256.as_ref().filter(|wanted| **wanted != file.sha256) {
            let (name, now) = (quoted(&name), &file.sha256);
            let detail = format!("is {wanted}, but {name} has {now} now; leave it out to take the file as it is");
            return refused("/load/replay/sha256", detail);
        }
        let there = file.lines.due_sec.len();
        let count = replay.requests.map_or(there, |count| count as usize);
        if count > there {
            let name = quoted(&name);
            let detail = format!("is {count}; {name} has {there} requests, accepted are 1 to {there}");
            return refused("/load/replay/requests", detail);
        }
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
            let detail = format!("stand beside those of {}; accepted are its own", quoted(&name));
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
