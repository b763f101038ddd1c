//! Files that a submission names: read where it is asked, and held against what the submission says of them.

use crate::scheduler::prompt_files::{PromptFile, PromptFileError, PromptFolder};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::FieldProblem;
use joulemark_measurement::quoted;

/// What a submission says of a file, each with the pointer of its field.
pub(super) struct Named<'a> {
    pub name: (&'static str, &'a str),
    pub sha256: (&'static str, Option<&'a str>),
    pub count: (&'static str, Option<u32>),
    /// What the file holds, in a word.
    pub holds: &'static str,
}

impl Scheduler {
    /// Reads the file that a submission names, and returns it with how many of its lines are asked for.
    ///
    /// # Errors
    /// Returns a problem when the file is not had, is not the one that the submission says, or has fewer lines.
    pub(super) async fn read_named<T: Send + 'static>(
        &self,
        named: Named<'_>,
        reading: fn(&PromptFolder, &str) -> Result<PromptFile<T>, PromptFileError>,
        lines_in: fn(&T) -> usize,
    ) -> Result<(PromptFile<T>, usize), Vec<FieldProblem>> {
        let refused = |pointer: &str, detail: String| Err(vec![FieldProblem::new(pointer, detail)]);
        let (pointer, name) = named.name;
        let (folder, wanted) = (self.context().prompts.clone(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || reading(&folder, &wanted)).await;
        let file = match read {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => return refused(pointer, format!("is {}, which is {error}", quoted(&name))),
            Err(error) => {
                return refused(
                    pointer,
                    format!("is {}, which could not be read: {error}", quoted(&name)),
                );
            }
        };
        let (pointer, wanted) = named.sha256;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != file.sha256) {
            let (name, now) = (quoted(&name), &file.sha256);
            let detail = format!("is {wanted}, but {name} has {now} now; leave it out to take the file as it is");
            return refused(pointer, detail);
        }
        let (pointer, count) = named.count;
        let there = lines_in(&file.lines);
        let count = count.map_or(there, |count| count as usize);
        if count > there {
            let (name, holds) = (quoted(&name), named.holds);
            let detail = format!("is {count}; {name} has {there} {holds}, accepted are 1 to {there}");
            return refused(pointer, detail);
        }
        Ok((file, count))
    }
}
