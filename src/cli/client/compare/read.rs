//! Reads the results that `joulemark compare` is given.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use super::super::session::Session;
use crate::compared::{Named, read_result};
use joulemark_analysis::comparison::{MeasuredResult, Subject, Turns};
use joulemark_analysis::metrics::Metric;
use joulemark_experiment::{ExperimentId, FieldProblem, State};
use joulemark_files::read_given;

/// A result to compare: an experiment or a point of a sweep on the server, or a file.
#[derive(Clone, Debug)]
pub enum Given {
    Id(Named),
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
    /// Returns the ID; `None` for a file.
    pub fn id(&self) -> Option<Named> {
        match self {
            Self::Id(id) => Some(*id),
            Self::File(_) => None,
        }
    }
}

/// Reads the results. A file may contain several documents, each of which is a result.
///
/// # Errors
/// Returns an error that names the file and its problem. Files are read without a server.
pub async fn subjects(session: &Session, given: &[Given], metrics: &[&'static Metric]) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for one in given {
        match one {
            Given::Id(Named::Point(sweep, point)) => subjects.push(of_point(session, (*sweep, *point), metrics).await?),
            Given::Id(Named::Experiment(id)) => {
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

/// Reads the completed repeats of a point of a sweep.
async fn of_point(
    session: &Session,
    (sweep, point): (ExperimentId, u32),
    metrics: &[&'static Metric],
) -> anyhow::Result<Subject> {
    let name = Named::Point(sweep, point).to_string();
    let shown = session
        .server
        .sweep(sweep, &[("metrics".to_owned(), "output_throughput".to_owned())])
        .await?;
    let row = &shown.value["table"][point as usize];
    let ids = row["experiments"].as_array().map_or(&[][..], Vec::as_slice);
    let (mut results, mut turn) = (Vec::new(), Vec::new());
    for (repeat, id) in (0..).zip(ids) {
        let id = id.as_str().unwrap_or_default().parse()?;
        if session.server.show(id).await?.state() == Some(State::Completed) {
            results.push(result(&session.server.results(id).await?.value, name.clone())?);
            turn.push(repeat);
        }
    }
    if let (Some(1), [only]) = (shown.value["repeats"].as_u64(), &results[..]) {
        return Ok(Subject::new(only, metrics));
    }
    let turns = (shown.value["order"] == "interleaved").then(|| Turns {
        among: sweep.to_string(),
        turn,
    });
    let subject = Subject::of_repeats(&name, &results, metrics, turns);
    subject.ok_or_else(|| anyhow::anyhow!("{name} has no completed repeat"))
}

fn documents(path: &Path) -> anyhow::Result<Vec<Value>> {
    let shown = path.display();
    let context = |error: std::io::Error| {
        let kind = error.kind();
        anyhow::Error::new(std::io::Error::new(
            kind,
            format!("{shown} is not the ID of an experiment and cannot be read as a file: {error}"),
        ))
    };
    let (_, bytes) = read_given(path).map_err(context)?;
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
    let documents = documents.map_err(|error| anyhow::anyhow!("{shown} is not JSON: {error}"))?;
    anyhow::ensure!(
        !documents.is_empty(),
        "{shown} is empty; accepted is the output of `joulemark results --json`"
    );
    Ok(documents)
}

fn subject(document: &Value, name: String, metrics: &[&'static Metric]) -> anyhow::Result<Subject> {
    Ok(Subject::new(&result(document, name)?, metrics))
}

fn result(document: &Value, name: String) -> anyhow::Result<MeasuredResult> {
    read_result(document, "", name.clone()).map_err(|problems| refusal(&name, &problems))
}

fn refusal(name: &str, problems: &[FieldProblem]) -> anyhow::Error {
    let lines = problems
        .iter()
        .map(|problem| format!("\n  {} {}", problem.pointer, problem.detail));
    anyhow::anyhow!(
        "{name} is not a result that can be compared{}",
        lines.collect::<String>()
    )
}
