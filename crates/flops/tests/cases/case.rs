//! A case: its question, its expected answer, and the comparison of the answer with it.

use std::path::Path;

use joulemark_flops::model_files::describe;
use joulemark_flops::{FlopsAnswer, Logits, Question, RequestTokens};
use serde_json::Value;

use super::input;

pub struct Case {
    pub name: String,
    /// Content of the case's file.
    pub input: Value,
    pub config: Value,
    pub expected: Value,
}

/// Outcome of a question: an answer with its notes, or the error's text.
#[derive(Debug)]
pub enum Came {
    Answer(Box<FlopsAnswer>),
    Refusal(String),
}

impl Came {
    /// Returns all texts of the outcome.
    pub fn said(&self) -> String {
        match self {
            Self::Answer(answer) => answer.notes.join("; "),
            Self::Refusal(error) => error.clone(),
        }
    }

    /// Returns a field of the answer; null without an answer.
    pub fn field(&self, key: &str) -> Value {
        match self {
            Self::Answer(answer) => serde_json::to_value(answer).unwrap()[key].clone(),
            Self::Refusal(_) => Value::Null,
        }
    }
}

impl Case {
    /// Reads `cases/NAME.json`.
    pub fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let input: Value = serde_json::from_str(&text).unwrap();
        Self {
            name: name.to_owned(),
            config: input["config"].clone(),
            expected: input["expected"].clone(),
            input,
        }
    }

    /// Writes the input into a folder whose name contains no size, and asks the question.
    pub fn answer(&self) -> Came {
        let folder = tempfile::Builder::new().prefix("input").tempdir().unwrap();
        let path = input::write(folder.path(), &self.input, &self.config);
        let name = path.display().to_string();
        let count = |key: &str| u32::try_from(self.input["question"][key].as_u64().unwrap()).unwrap();
        let question = Question {
            tokens: RequestTokens {
                input: count("input_tokens"),
                output: count("output_tokens"),
            },
            batch: 1,
            logits: Logits::Last,
            device: None,
        };
        match describe(&path, &name) {
            Ok(description) => Came::Answer(Box::new(description.answer(&name, &question))),
            Err(error) => Came::Refusal(error.to_string()),
        }
    }

    /// Compares every figure that the case gives; `tolerance` is the share by which FLOPs may differ.
    pub fn compare(&self, came: &Came, tolerance: f64) {
        for (key, expected) in self.expected.as_object().unwrap() {
            let told = || format!("{}: {key}: {} {}", self.name, came.field(key), came.said());
            let (key, tolerance) = match key.strip_suffix("_about") {
                Some(key) => (key, 0.02),
                None if key.starts_with("flops") => (key.as_str(), tolerance),
                None => (key.as_str(), 0.0),
            };
            match key {
                "note" | "how_known" | "operator_rotary_embedding_prefill" => {}
                _ => assert!(is_close(&came.field(key), expected, tolerance), "{}", told()),
            }
        }
    }
}

fn is_close(found: &Value, expected: &Value, tolerance: f64) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= tolerance * expected,
        _ => found == expected,
    }
}
