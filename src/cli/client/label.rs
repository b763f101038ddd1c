//! `joulemark label`.

use joulemark_measurement::quoted;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::arguments::{OutputArguments, ServerArguments};
use super::{ending::Ending, session};
use joulemark_experiment::ExperimentId;

#[derive(Debug, Args)]
pub struct LabelArguments {
    /// ID of the experiment, in any state.
    #[arg(value_name = "ID")]
    id: ExperimentId,
    /// NAME=VALUE sets a label, NAME- removes it; other labels stay.
    #[arg(required = true, value_name = "CHANGE", value_parser = change)]
    changes: Vec<(String, Value)>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Parses a change into a member of a JSON merge patch: a string, or null to remove the label.
fn change(text: &str) -> Result<(String, Value), String> {
    let change = match (text.split_once('='), text.strip_suffix('-')) {
        (Some((name, value)), _) => (name, Value::from(value)),
        (None, Some(name)) => (name, Value::Null),
        (None, None) => ("", Value::Null),
    };
    match change {
        ("", _) => Err("it must be NAME=VALUE, or NAME- to remove a label".to_owned()),
        (name, value) => Ok((name.to_owned(), value)),
    }
}

pub fn run(arguments: LabelArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        let mut changes = Map::new();
        for (name, value) in &arguments.changes {
            if changes.insert(name.clone(), value.clone()).is_some() {
                bail!(
                    "the label {} is changed twice; change each label only once",
                    quoted(name)
                );
            }
        }
        let id = arguments.id;
        let changed = session.server.change_labels(id, &Value::from(changes)).await;
        let document = changed.with_context(|| id.to_string())?;
        if session.is_json() {
            session.print_document(&document)?;
        } else {
            session.print(&format!("{id} {}", shown(&document.value["labels"])))?;
        }
        Ok(Ending::Done)
    })
}

fn shown(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let pairs: Vec<_> = labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    match pairs.is_empty() {
        true => "has no labels".to_owned(),
        false => format!("has the labels {}", pairs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_sets_a_label_or_removes_it() {
        for (text, name, value) in [
            ("team=a", "team", json!("a")),
            ("team=", "team", json!("")),
            ("formula=a=b", "formula", json!("a=b")),
            ("team-", "team", json!(null)),
            ("a--", "a-", json!(null)),
            ("a-=x-", "a-", json!("x-")),
        ] {
            assert_eq!(change(text), Ok((name.to_owned(), value)), "{text}");
        }
        for text in ["", "-", "=", "=a", "team"] {
            assert!(change(text).unwrap_err().contains("NAME=VALUE"), "{text}");
        }
    }
}
