//! Submission of a manifest: reads the experiment in it, and checks that model and prompts are the same.

use serde_json::Value;

use super::manifest::MANIFEST_VERSION;
use crate::http::state::AppState;
use crate::scheduler::Hashes;
use joulemark_experiment::report::FileDigest;
use joulemark_experiment::{FieldProblem, PromptIdentity, Repeat, Spec};
use joulemark_measurement::quoted;

/// A submitted manifest.
pub struct Resubmitted<'a> {
    document: &'a Value,
    repeat: Repeat,
}

impl<'a> Resubmitted<'a> {
    /// Reads a manifest; `None` for a document that is not one.
    ///
    /// # Errors
    /// Returns the problems because of which it cannot be repeated.
    pub fn read(document: &'a Value) -> Option<Result<Self, Vec<FieldProblem>>> {
        let version = document.as_object()?.get("manifest")?;
        let refused = |pointer: &str, detail: String| Some(Err(vec![FieldProblem::new(pointer, detail)]));
        if version.as_u64() != Some(MANIFEST_VERSION.into()) {
            let shown = joulemark_experiment::brief(version);
            return refused(
                "/manifest",
                format!("is {shown}; accepted is {MANIFEST_VERSION}, the version of this server's manifests"),
            );
        }
        let Some(repeat) = Repeat::of(document) else {
            return refused(
                "/experiment",
                "is missing or not an object; accepted is a manifest as the API returns it".to_owned(),
            );
        };
        let prompts = &repeat.experiment["prompts"];
        let has_none = prompts.as_array().is_some_and(Vec::is_empty)
            && repeat.experiment["prompt_lines"].as_array().is_none_or(Vec::is_empty);
        let (withheld, dropped) = (repeat.withheld_prompts, repeat.dropped_prompts);
        if has_none && withheld + dropped > 0 {
            let why = if withheld > 0 {
                "withheld from the reader of the manifest"
            } else {
                "deleted by its server"
            };
            return refused(
                "/experiment/prompts",
                format!(
                    "lacks {} prompts, which were {why}; accepted is the experiment with the prompts of prompts.sha256",
                    withheld + dropped
                ),
            );
        }
        Some(Ok(Self { document, repeat }))
    }

    /// Returns the experiment in the form of a submission.
    pub fn experiment(&self) -> &Value {
        &self.repeat.experiment
    }

    /// Checks that the model's files and the prompts are those of the manifest. Files without a known hash are read,
    /// unless this node runs an experiment: such files are then skipped, and the run records their hashes.
    ///
    /// # Errors
    /// Returns a problem for each one that differs.
    pub async fn check(&self, state: &AppState, spec: &Spec) -> Result<(), Vec<FieldProblem>> {
        let mut problems = self.other_prompts(spec);
        let mut named = Vec::new();
        for list in ["sha256", "texts_sha256"] {
            match self.files(list) {
                Ok(files) => named.extend(files),
                Err(problem) => problems.push(problem),
            }
        }
        if !named.is_empty() {
            match state.scheduler.model_hashes(spec).await {
                Ok(there) => problems.extend(other_files(&named, &there)),
                Err(detail) => problems.push(FieldProblem::new("/model/sha256", detail)),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Returns a problem if the experiment's prompts differ from those of the manifest.
    fn other_prompts(&self, spec: &Spec) -> Vec<FieldProblem> {
        let Some(is) = PromptIdentity::of(spec, None, None) else {
            return Vec::new();
        };
        let other = |name: &str, is: &str| {
            let was = self.document["prompts"][name].as_str().filter(|was| *was != is)?;
            let detail = format!(
                "is {}, but the prompts of this experiment have {}",
                quoted(&was),
                quoted(&is)
            );
            Some(FieldProblem::new(format!("/prompts/{name}"), detail))
        };
        let sha256 = is.sha256();
        other("sha256", &sha256)
            .or_else(|| other("description", is.as_str()))
            .into_iter()
            .collect()
    }

    /// Returns the files that the manifest lists, each with a pointer to its hash.
    fn files(&self, list: &str) -> Result<Vec<(String, FileDigest)>, FieldProblem> {
        let Some(items) = self.document["model"].get(list).and_then(Value::as_array) else {
            return Ok(Vec::new());
        };
        let read = |(place, item): (usize, &Value)| {
            let pointer = format!("/model/{list}/{place}");
            let text = |name: &str| item[name].as_str().map(str::to_owned);
            let digest = text("file").zip(text("sha256").map(|sha256| sha256.to_lowercase()));
            match digest {
                Some((file, sha256)) => Ok((format!("{pointer}/sha256"), FileDigest { file, sha256 })),
                None => Err(FieldProblem::new(
                    pointer,
                    "lacks file or sha256; accepted are both as texts",
                )),
            }
        };
        items.iter().enumerate().map(read).collect()
    }
}

/// Returns a problem for each file of the manifest that differs from this server's or does not exist here.
fn other_files(named: &[(String, FileDigest)], there: &Hashes) -> Vec<FieldProblem> {
    let other = |(pointer, was): &(String, FileDigest)| {
        let is = there.known.iter().find(|is| is.file == was.file);
        let detail = match is {
            Some(is) if is.sha256 == was.sha256 => return None,
            Some(is) => format!(
                "is {}, but this server's {} has {}: it is another model",
                quoted(&was.sha256),
                quoted(&was.file),
                is.sha256
            ),
            None if there.unread.contains(&was.file) => return None,
            None => format!(
                "is the hash of {}, which is not among the files of this server's model",
                quoted(&was.file)
            ),
        };
        Some(FieldProblem::new(pointer.clone(), detail))
    };
    named.iter().filter_map(other).collect()
}

/// Moves the pointers of problems into the manifest's `experiment`.
pub fn within_experiment(problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    let within = |problem: FieldProblem| FieldProblem {
        pointer: format!("/experiment{}", problem.pointer),
        ..problem
    };
    problems.into_iter().map(within).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_manifest_is_read_as_one_and_what_it_lacks_is_named() {
        assert!(Resubmitted::read(&json!({"model_name": "m"})).is_none());
        for (document, pointer) in [
            (json!({"manifest": 2, "experiment": {}}), "/manifest"),
            (json!({"manifest": "1", "experiment": {}}), "/manifest"),
            (json!({"manifest": 1}), "/experiment"),
            (
                json!({"manifest": 1, "experiment": {"prompts": []}, "prompts_withheld": 2}),
                "/experiment/prompts",
            ),
        ] {
            let Some(Err(problems)) = Resubmitted::read(&document) else {
                panic!("accepted {document}")
            };
            assert_eq!(problems[0].pointer, pointer);
        }
        let whole = json!({"manifest": 1, "experiment": {"model_name": "m", "prompts": ["a"]}, "prompts_withheld": 2});
        assert!(matches!(Resubmitted::read(&whole), Some(Ok(_))));
    }

    #[test]
    fn each_different_or_missing_file_is_named() {
        let digest = |file: &str, sha256: &str| FileDigest {
            file: file.to_owned(),
            sha256: sha256.to_owned(),
        };
        let named = ["a", "b", "c", "d"].map(|file| (format!("/{file}"), digest(file, "1")));
        let there = Hashes {
            known: vec![digest("a", "1"), digest("b", "2")],
            unread: vec!["d".to_owned()],
        };
        let problems = other_files(&named, &there);
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/b", "/c"]);
    }
}
