//! Converts the form to an experiment, and an experiment to the form.

use serde_json::{Map, Value};

use super::prompts;
use super::text::{document, number, text_of};
use super::typed::Typed;
use crate::http::body::{Body, MAX_VALUES};
use joulemark_experiment::{DescribedField, FieldProblem, Takes, parse};

/// The experiment in a form, field by field.
pub struct Read<'a> {
    fields: Vec<(&'static str, Body<'a>)>,
    /// Fields that could not be parsed.
    unparsed: Vec<FieldProblem>,
}

/// Parses every field that is not empty.
pub fn read<'a>(typed: &'a Typed, described: &[DescribedField]) -> Read<'a> {
    let mut read = Read {
        fields: Vec::new(),
        unparsed: Vec::new(),
    };
    let mut values = 0;
    for field in described {
        let found = match field.name {
            prompts::NAME => prompts::read(typed),
            name => of_field(&field.takes, typed.text(name)),
        };
        match found {
            None => {}
            Some(Ok(body)) => {
                values += count(&body.document);
                if values > MAX_VALUES {
                    let detail = format!("brings the form above {MAX_VALUES} values, which is the maximum");
                    read.unparsed.push(FieldProblem::new(pointer(field.name), detail));
                    break;
                }
                read.fields.push((field.name, body));
            }
            Some(Err(detail)) => read.unparsed.push(FieldProblem::new(pointer(field.name), detail)),
        }
    }
    read
}

/// Parses the text of a field; returns `None` if it is empty.
fn of_field<'a>(takes: &Takes, text: &'a str) -> Option<Result<Body<'a>, String>> {
    if text.trim().is_empty() {
        return None;
    }
    let value = match takes {
        Takes::Whole | Takes::Number => number(text),
        Takes::Boolean => match text {
            "true" => true.into(),
            "false" => false.into(),
            other => other.into(),
        },
        Takes::Text | Takes::Choice(_) => text.into(),
        Takes::List if !text.trim_start().starts_with(['[', '-', '{']) && !text.trim().contains('\n') => {
            return Some(items(text).map(Body::of));
        }
        Takes::List | Takes::Document => return Some(document(text)),
    };
    Some(Ok(Body::of(value)))
}

/// Parses a list on one line, separated by commas.
fn items(text: &str) -> Result<Value, String> {
    document(&format!("[{text}]")).map(|body| body.document)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(entries) => entries.values().map(count).sum(),
        _ => 0,
    }
}

fn pointer(name: &str) -> String {
    format!("/{name}")
}

impl Read<'_> {
    /// Returns the fields that have values, in the order of the form.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.fields.iter().map(|(name, body)| (*name, &body.document))
    }

    /// Returns the experiment as a submission.
    pub fn document(&self) -> Value {
        let fields = self.fields().map(|(name, value)| (name.to_owned(), value.clone()));
        Value::Object(fields.collect())
    }

    /// Returns the problems of the experiment that do not depend on a host, as the API reports them.
    pub fn problems(&self, document: &Value) -> Vec<FieldProblem> {
        let shape = parse(document).err().unwrap_or_default();
        // A field that could not be parsed is not missing.
        let is_unparsed =
            |problem: &FieldProblem| self.unparsed.iter().any(|unparsed| unparsed.pointer == problem.pointer);
        let shape = shape.into_iter().filter(|problem| !is_unparsed(problem));
        let mut problems = self.as_written(shape.collect());
        problems.extend(self.unparsed.iter().cloned());
        if problems.is_empty() {
            problems = self.fields.iter().flat_map(misread).collect();
        }
        problems
    }

    /// Returns the problems with the values as they were typed.
    pub fn as_written(&self, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
        let mut rest = problems;
        let mut all = Vec::new();
        for (name, body) in &self.fields {
            let (own, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|problem| is_of(problem, name));
            rest = others;
            let inside = own.into_iter().map(|problem| {
                let within = problem.pointer[1 + name.len()..].to_owned();
                FieldProblem::new(within, problem.detail)
            });
            all.extend(within(name, body.as_written(inside.collect())));
        }
        all.extend(rest);
        all
    }
}

fn misread((name, body): &(&'static str, Body<'_>)) -> Vec<FieldProblem> {
    within(name, body.misread()).collect()
}

fn within(name: &str, problems: Vec<FieldProblem>) -> impl Iterator<Item = FieldProblem> {
    let problems = problems.into_iter();
    problems.map(move |problem| FieldProblem::new(format!("/{name}{}", problem.pointer), problem.detail))
}

/// Returns whether a problem concerns a field or something within it.
pub fn is_of(problem: &FieldProblem, name: &str) -> bool {
    let rest = problem
        .pointer
        .strip_prefix('/')
        .and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the form for an experiment; fields with their defaults are left empty.
pub fn typed_of(experiment: &Value, described: &[DescribedField]) -> Typed {
    let mut typed = Typed::default();
    for field in described {
        let value = without_nulls(&experiment[field.name]);
        if is_as_by_default(field, &value, experiment) {
            continue;
        }
        if field.name == prompts::NAME {
            prompts::write(&value, &mut typed);
        } else {
            typed.set(field.name, text_of(&value));
        }
    }
    typed
}

fn is_as_by_default(field: &DescribedField, value: &Value, experiment: &Value) -> bool {
    let is_empty = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    // The default name follows the model, so that another model gets another name.
    let follows = field.name == "config_name" && *value == experiment["model_name"];
    is_empty || follows || *value == without_nulls(&field.default)
}

/// Removes null fields at every level, since null means the default.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let there = entries.iter().filter(|(_, value)| !value.is_null());
            let there: Map<_, _> = there
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect();
            Value::Object(there)
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests;
