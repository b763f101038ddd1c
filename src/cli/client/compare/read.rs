use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use super::super::session::Session;
use crate::compared::read_result;
use joulemark_analysis::comparison::Subject;
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::{ExperimentId, FieldProblem};
use joulemark_files::read_given;

/// A result as it was named: an experiment of the server, or a file.
#[derive(Clone, Debug)]
pub enum Given {
    Id(ExperimentId),
    File(PathBuf),
}

impl FromStr for Given {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Id))
    }
}

impl fmt::Display for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl Given {
    pub fn id(&self) -> Option<ExperimentId> {
        match self {
            Self::Id(id) => Some(*id),
            Self::File(_) => None,
        }
    }
}

/// Returns what is compared of each result; of a file with several documents, one after the other, each.
///
/// # Errors
/// Returns an error that names the file, and what is wrong in it; nothing is asked of a server for files.
pub async fn subjects(session: &Session, given: &[Given], metrics: &[&'static Metric]) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for one in given {
        match one {
            Given::Id(id) => {
                let results = session.server.results(*id).await?;
                subjects.push(subject(&results.value, id.to_string(), metrics)?);
            }
            Given::File(path) => {
                let documents = documents(path)?;
                for (number, document) in documents.iter().enumerate() {
                    let name = match documents.len() {
                        1 => path.display().to_string(),
                        _ => format!("{}#{}", path.display(), number + 1),
                    };
                    subjects.push(subject(document, name, metrics)?);
                }
            }
        }
    }
    Ok(subjects)
}

fn documents(path: &Path) -> anyhow::Result<Vec<Value>> {
    let shown = path.display();
    let context = |error: std::io::Error| {
        let kind = error.kind();
        anyhow::Error::new(std::io::Error::new(
            kind,
            format!("{shown}, which is no id of an experiment, cannot be read as a file: {error}"),
        ))
    };
    let (_, bytes) = read_given(path).map_err(context)?;
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
    let documents = documents.map_err(|error| anyhow::anyhow!("{shown} is not JSON: {error}"))?;
    anyhow::ensure!(
        !documents.is_empty(),
        "{shown} is empty; accepted is a result as joulemark results prints it"
    );
    Ok(documents)
}

fn subject(document: &Value, name: String, metrics: &[&'static Metric]) -> anyhow::Result<Subject> {
    let result = read_result(document, "", name.clone()).map_err(|problems| refusal(&name, &problems))?;
    Ok(Subject::new(&result, metrics))
}

fn refusal(name: &str, problems: &[FieldProblem]) -> anyhow::Error {
    let lines = problems
        .iter()
        .map(|problem| format!("\n  {} {}", problem.pointer, problem.detail));
    anyhow::anyhow!("{name} is no result that can be compared{}", lines.collect::<String>())
}
