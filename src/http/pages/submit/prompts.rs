//! The choice of prompts: the kinds that most experiments have get inputs of their own, any other is written as a document.

use serde_json::{Map, Value, json};

use super::text::{document, number, text_of};
use super::typed::Typed;
use crate::http::body::Body;
use joulemark_worker::inference::prompts;

/// The field, and the input that takes it as a document.
pub const NAME: &str = "prompts";

const KIND: &str = "prompts.kind";
const DATASET: &str = "prompts.dataset";
const COUNT: &str = "prompts.count";
const TEXTS: &str = "prompts.texts";
/// Inputs of random tokens, and the fields that they are.
const SYNTHETIC: [(&str, &str); 3] = [
    ("prompts.input_tokens", "input_tokens"),
    ("prompts.synthetic_count", "count"),
    ("prompts.seed", "seed"),
];

/// Reads the prompts of the kind that was chosen; `None` where none was, or nothing was written.
pub fn read(typed: &Typed) -> Option<Result<Body<'_>, String>> {
    let prompts = match typed.text(KIND) {
        "dataset" => {
            let mut set = numbers(typed, &[(COUNT, "count")]);
            set.insert("dataset".to_owned(), typed.text(DATASET).into());
            Value::Object(set)
        }
        "synthetic" => json!({"synthetic": numbers(typed, &SYNTHETIC)}),
        "texts" => {
            let lines = typed.text(TEXTS).lines().filter(|line| !line.trim().is_empty());
            lines.map(Value::from).collect()
        }
        "document" if !typed.text(NAME).trim().is_empty() => return Some(document(typed.text(NAME))),
        _ => return None,
    };
    Some(Ok(Body::of(prompts)))
}

fn numbers(typed: &Typed, inputs: &[(&str, &str)]) -> Map<String, Value> {
    let there = inputs.iter().filter(|(input, _)| !typed.text(input).trim().is_empty());
    there
        .map(|(input, name)| ((*name).to_owned(), number(typed.text(input))))
        .collect()
}

/// Writes prompts into the inputs of their kind, or as a document where these cannot say all of them.
pub fn write(prompts: &Value, typed: &mut Typed) {
    let has_only = |object: &Map<String, Value>, names: &[&str]| object.keys().all(|key| names.contains(&key.as_str()));
    if let Some(set) = prompts.as_object().filter(|set| has_only(set, &["dataset", "count"]))
        && let Some(name) = set.get("dataset").and_then(Value::as_str)
    {
        typed.set(KIND, "dataset");
        typed.set(DATASET, name);
        typed.set(COUNT, set.get("count").map(text_of).unwrap_or_default());
        return;
    }
    let synthetic = prompts["synthetic"].as_object();
    if let Some(synthetic) = synthetic.filter(|synthetic| has_only(synthetic, &SYNTHETIC.map(|(_, name)| name))) {
        typed.set(KIND, "synthetic");
        for (input, name) in SYNTHETIC {
            typed.set(input, synthetic.get(name).map(text_of).unwrap_or_default());
        }
        return;
    }
    // A page holds no control characters as they are.
    let is_line = |text: &Value| {
        let is_plain = |text: &str| {
            !text
                .chars()
                .any(|character| character.is_control() && character != '\t')
        };
        text.as_str()
            .is_some_and(|text| !text.trim().is_empty() && is_plain(text))
    };
    match prompts.as_array().filter(|texts| texts.iter().all(is_line)) {
        Some(texts) => {
            let lines: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
            typed.set(KIND, "texts");
            typed.set(TEXTS, lines.join("\n"));
        }
        None => {
            typed.set(KIND, "document");
            typed.set(NAME, text_of(prompts));
        }
    }
}

/// The choice as it is shown.
pub struct PromptChoice {
    pub kind: String,
    /// Each built-in set with its size.
    pub sets: Vec<(String, Option<usize>)>,
    pub dataset: String,
    pub count: String,
    /// Each input of random tokens: its name, what it is called, its value and the pointer of its problems.
    pub synthetic: Vec<NumberInput>,
    pub texts: String,
    pub document: String,
}

/// An input of one number.
pub struct NumberInput {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub is_bad: bool,
}

impl PromptChoice {
    /// Returns the choice with what was typed; `is_bad` tells whether there is a problem at a pointer.
    pub fn new(typed: &Typed, is_bad: impl Fn(&str) -> bool) -> Self {
        let or = |name: &str, usual: &str| match typed.text(name) {
            "" => usual.to_owned(),
            text => text.to_owned(),
        };
        let kind = typed.text(KIND).to_owned();
        let dataset = or(DATASET, prompts::DEFAULT_DATASET);
        let mut sets: Vec<_> = prompts::sets()
            .into_iter()
            .map(|set| (set.name.to_owned(), Some(set.count)))
            .collect();
        // What was asked for is shown as it was, also where this release has no such set.
        if !sets.iter().any(|(name, _)| *name == dataset) {
            sets.push((dataset.clone(), None));
        }
        let is_chosen = kind == "synthetic";
        let labels = ["Tokens of each prompt", "How many prompts", "Seed"];
        let usual = ["128", "16", "0"];
        let synthetic = SYNTHETIC.iter().zip(labels).zip(usual).map(|((input, label), usual)| {
            let (name, field) = *input;
            NumberInput {
                name,
                label,
                // What was emptied stays empty.
                value: if is_chosen {
                    typed.text(name).to_owned()
                } else {
                    or(name, usual)
                },
                is_bad: is_bad(&format!("/prompts/synthetic/{field}")),
            }
        });
        Self {
            synthetic: synthetic.collect(),
            sets,
            dataset,
            count: typed.text(COUNT).to_owned(),
            texts: typed.text(TEXTS).to_owned(),
            document: typed.text(NAME).to_owned(),
            kind,
        }
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}
