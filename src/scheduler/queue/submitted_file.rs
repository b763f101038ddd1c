//! Reads the files that a submission names, and compares them with the submission's hash and count.

use crate::scheduler::prompt_files::{PromptFile, PromptFileError, PromptFolder};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::FieldProblem;
use joulemark_measurement::quoted;

/// A submission's fields about a file, each with its JSON pointer.
pub(super) struct Named<'a> {
    pub name: (&'static str, &'a str),
    pub sha256: (&'static str, Option<&'a str>),
    pub count: (&'static str, Option<u32>),
    /// Plural noun for the file's lines, for messages.
    pub holds: &'static str,
}

impl Scheduler {
    /// Reads the file that a submission names. Returns it with the number of lines to use.
    ///
    /// # Errors
    /// Returns a problem when the file cannot be used, has another hash, or has fewer lines than the submission asks
    /// for.
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
                return refused(pointer, format!("is {}, which cannot be read: {error}", quoted(&name)));
            }
        };
        let (pointer, wanted) = named.sha256;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != file.sha256) {
            let (name, now) = (quoted(&name), &file.sha256);
            let detail =
                format!("is {wanted}, but {name} now has the hash {now}; leave it out to use the file as it is");
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
