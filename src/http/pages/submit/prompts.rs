//! The choice of prompts. The common kinds have controls of their own; any other is entered as a document.

use serde_json::{Map, Value, json};

use super::text::{document, number, text_of};
use super::typed::Typed;
use crate::http::body::Body;
use joulemark_worker::inference::prompts;

/// Name of the field, and of the control for a document.
pub const NAME: &str = "prompts";

const KIND: &str = "prompts.kind";
const DATASET: &str = "prompts.dataset";
const COUNT: &str = "prompts.count";
const TEXTS: &str = "prompts.texts";
/// Controls for random tokens, and their fields.
const SYNTHETIC: [(&str, &str); 3] = [
    ("prompts.input_tokens", "input_tokens"),
    ("prompts.synthetic_count", "count"),
    ("prompts.seed", "seed"),
];

/// Returns the prompts of the chosen kind; `None` when no kind was chosen, or its document is empty.
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

/// Writes prompts into the controls of their kind, or into the document when the controls cannot express them.
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
    // HTML cannot contain control characters.
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

/// The choice with its values.
pub struct PromptChoice {
    pub kind: String,
    /// Built-in data sets with their sizes.
    pub sets: Vec<(String, Option<usize>)>,
    pub dataset: String,
    pub count: String,
    /// Controls for random tokens.
    pub synthetic: Vec<NumberInput>,
    pub texts: String,
    pub document: String,
}

/// A control for a number.
pub struct NumberInput {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub is_bad: bool,
}

impl PromptChoice {
    /// Creates the choice from the form; `is_bad` returns whether there is a problem at a pointer.
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
        // A data set of another release stays selected.
        if !sets.iter().any(|(name, _)| *name == dataset) {
            sets.push((dataset.clone(), None));
        }
        let is_chosen = kind == "synthetic";
        let labels = ["Tokens in each prompt", "Number of prompts", "Seed"];
        let usual = ["128", "16", "0"];
        let synthetic = SYNTHETIC.iter().zip(labels).zip(usual).map(|((input, label), usual)| {
            let (name, field) = *input;
            NumberInput {
                name,
                label,
                // A control that the user has emptied stays empty.
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

    /// Returns whether this kind is chosen.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}
