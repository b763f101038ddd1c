//! A commented submission with every field, generated from the table of fields.

use serde_json::{Map, Value};
use utoipa::PartialSchema;

use super::load::{Load, SloRequest};
use super::settle::SettleRequest;
use super::stop_rule::StopRuleRequest;
use super::warm_up::WarmUpRequest;
use super::{DecoderRequest, ExperimentRequest};

/// Maximum characters of a line.
const WIDTH: usize = 100;
const INDENT: &str = "  ";

/// Returns an experiment as YAML: every field with its default, below a comment that explains it. Null stands for
/// defaults that depend on the host, the model or other fields.
pub fn example() -> String {
    let mut text = comment(
        "An experiment, for `joulemark submit`. Only model_name is required: leave out every field whose default suits you.",
        "",
    );
    let properties = properties::<ExperimentRequest>();
    for (name, default) in ExperimentRequest::defaults() {
        text.push('\n');
        text.push_str(&comment(&meaning(&properties[name]), ""));
        match name {
            "model_name" => text.push_str("model_name: SmolLM2-135M-Instruct.Q4_1.gguf\n"),
            "decoder" => {
                text.push_str("decoder:\n");
                text.push_str(&decoder());
            }
            "warmup" => text.push_str(&null_or(name, WarmUpRequest::defaults())),
            "load" => text.push_str(&format!("{name}: null # or {}\n", Load::example())),
            "settle" => text.push_str(&null_or(name, SettleRequest::defaults())),
            "slo" => text.push_str(&null_or(name, SloRequest::defaults())),
            "stop_rule" => text.push_str(&null_or(name, StopRuleRequest::defaults())),
            _ => text.push_str(&format!("{name}: {default}\n")),
        }
    }
    text
}

/// Returns the line of a field that is null by default, with a comment that shows the object with its fields' defaults.
fn null_or(name: &str, defaults: Vec<(&'static str, Value)>) -> String {
    let fields = defaults.into_iter();
    let such_as: Map<String, Value> = fields.map(|(name, default)| (name.to_owned(), default)).collect();
    format!("{name}: null # or {}\n", Value::Object(such_as))
}

/// Returns the decoder's fields, each null: their defaults may depend on one another.
fn decoder() -> String {
    let properties = properties::<DecoderRequest>();
    let fields = DecoderRequest::defaults().into_iter();
    fields
        .map(|(name, _)| format!("{}{INDENT}{name}: null\n", comment(&meaning(&properties[name]), INDENT)))
        .collect()
}

/// Returns the properties of a type's schema.
fn properties<T: PartialSchema>() -> Map<String, Value> {
    let schema = serde_json::to_value(T::schema()).unwrap_or_default();
    schema["properties"].as_object().cloned().unwrap_or_default()
}

/// Returns the description of a field, followed by its words and bounds where the text does not state them.
pub(crate) fn meaning(property: &Value) -> String {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    let texts = std::iter::once(property).chain(choices);
    let text = texts.filter_map(|schema| schema["description"].as_str()).next();
    let mut text = text.unwrap_or_default().replace('\n', " ");
    let schemas = std::iter::once(property).chain(property["oneOf"].as_array().into_iter().flatten());
    let words = schemas.flat_map(|schema| schema["enum"].as_array().into_iter().flatten());
    let words: Vec<_> = words
        .filter_map(Value::as_str)
        .map(|word| format!("`{word}`"))
        .collect();
    if !words.is_empty() {
        text.push_str(&format!(" One of {}.", words.join(", ")));
    }
    match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        (Some(least), Some(most)) if !text.contains(&format!("to {most}")) => {
            format!("{text} Accepted are {least} to {most}.")
        }
        _ => text,
    }
}

/// Returns a text as comment lines of at most [`WIDTH`] characters.
fn comment(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = format!("{indent}#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = format!("{indent}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    format!("{lines}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_there_and_explained() {
        let text = example();
        let lines: Vec<_> = text.lines().collect();
        let fields = ExperimentRequest::NAMES.iter().map(|name| (*name, ""));
        for (name, indent) in fields.chain(DecoderRequest::NAMES.iter().map(|name| (*name, INDENT))) {
            let at = lines
                .iter()
                .position(|line| line.starts_with(&format!("{indent}{name}:")));
            let at = at.unwrap_or_else(|| panic!("{name} is missing"));
            let above = lines[at - 1].trim_start();
            assert!(
                above.len() > "# a".len() && above.starts_with('#'),
                "{name} is not explained: {above}"
            );
        }
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }
}
