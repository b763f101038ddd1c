use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::*;
use crate::{ArgumentValues, DecoderRequest, Device, Distribution, ExperimentRequest, Prompts, Resolved};

fields! {
    #[derive(Debug, ToSchema)]
    pub struct DraftRequest;
    #[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Draft;

    /// Tokens drafted ahead. Default 4.
    draft_tokens: u32 [minimum = 1, maximum = 16] =>
        /// Tokens drafted ahead.
        #[serde(default)]
        u32 = 4, "Tokens drafted ahead, at most.";

    /// How drafts reach the ranks. Default `replicate`.
    draft_distribution: Distribution =>
        Distribution = Distribution::Replicate, "How drafts reach the ranks.";

    /// Default false.
    is_draft_kept: bool => bool = false, "Whether drafts are kept.";

    draft_share: f64 [exclusive_minimum = 0, maximum = 0.5] => Option<f64> = None, "Share of drafts.";
}

fn read(document: &Value) -> (DraftRequest, Vec<String>) {
    let mut problems = Vec::new();
    let mut fields = Fields::new(document.as_object().unwrap(), "", DraftRequest::NAMES, &mut problems);
    let request = DraftRequest::read_all(&mut fields);
    let said = problems.into_iter();
    (
        request,
        said.map(|problem| format!("{} {}", problem.pointer, problem.detail))
            .collect(),
    )
}

#[test]
fn a_field_that_is_added_to_a_table_is_read() {
    let document = json!({
        "draft_tokens": 16, "draft_distribution": "shard", "is_draft_kept": true, "draft_share": 0.25,
    });
    let (request, problems) = read(&document);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(serde_json::to_value(request.filled()).unwrap(), document);
}

#[test]
fn a_bad_value_is_reported_with_what_is_accepted() {
    let document = json!({
        "draft_tokens": 17, "draft_distribution": "deal", "is_draft_kept": 1, "draft_share": 0, "draft_token": 1,
    });
    let (_, problems) = read(&document);
    let expected = [
        "/draft_token is not a known field; did you mean \"draft_tokens\"? \
         Accepted are draft_tokens, draft_distribution, is_draft_kept, draft_share",
        "/draft_tokens is 17; accepted is an integer from 1 to 16",
        "/draft_distribution is \"deal\"; accepted is one of shard, replicate",
        "/is_draft_kept is 1; accepted is true or false",
        "/draft_share is 0; accepted is a number above 0 and at most 0.5",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn its_default_is_listed() {
    let expected = [
        ("draft_tokens", json!(4)),
        ("draft_distribution", json!("replicate")),
        ("is_draft_kept", json!(false)),
        ("draft_share", Value::Null),
    ];
    assert_eq!(DraftRequest::defaults(), expected);
}

#[test]
fn its_default_is_filled_in() {
    let default = Draft {
        draft_tokens: 4,
        draft_distribution: Distribution::Replicate,
        is_draft_kept: false,
        draft_share: None,
    };
    assert_eq!(read(&json!({})).0.filled(), default);
}

#[test]
fn it_is_described_with_its_bounds() {
    let asked = serde_json::to_value(DraftRequest::schema()).unwrap();
    let tokens = json!({
        "type": ["integer", "null"], "format": "int32", "description": "Tokens drafted ahead. Default 4.",
        "minimum": 1, "maximum": 16,
    });
    assert_eq!(asked["properties"]["draft_tokens"], tokens);
    assert_eq!(asked["properties"]["draft_share"]["exclusiveMinimum"], 0);
    let shown = serde_json::to_value(Draft::schema()).unwrap();
    assert_eq!(
        shown["properties"]["draft_tokens"]["description"],
        "Tokens drafted ahead."
    );
}

#[test]
fn it_is_shown_with_its_kind() {
    let draft = read(&json!({})).0.filled();
    let shown: Vec<_> = Draft::FIELDS
        .iter()
        .map(|field| (field.name, field.kind, field.about.unwrap(), (field.value)(&draft)))
        .collect();
    let expected = [
        ("draft_tokens", Kind::Count, "Tokens drafted ahead, at most.", json!(4)),
        (
            "draft_distribution",
            Kind::Text,
            "How drafts reach the ranks.",
            json!("replicate"),
        ),
        ("is_draft_kept", Kind::Boolean, "Whether drafts are kept.", json!(false)),
        ("draft_share", Kind::Number, "Share of drafts.", json!(null)),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_default_is_what_the_description_says() {
    let resolved = Resolved {
        config_name: String::new(),
        model_name: String::new(),
        prompts: Prompts::Texts(Vec::new()),
        decoder: DecoderRequest::default().filled(),
        num_processes: 1,
        gpus: Vec::new(),
        gpu_count: 0,
        device: Device::Auto,
        engine: "mistral".to_owned(),
        engine_arguments: ArgumentValues::new(),
    };
    let filled = serde_json::to_value(ExperimentRequest::default().filled(resolved)).unwrap();
    let schema = serde_json::to_value(ExperimentRequest::schema()).unwrap();
    let mut said = Vec::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let described = [&property["description"], &property["oneOf"][0]["description"]];
        let text = described.into_iter().find_map(Value::as_str).unwrap_or_default();
        if let Some((_, default)) = text.split_once("Default ") {
            let default = default.split_once('.').unwrap().0.trim_matches('`');
            assert_eq!(filled[name].to_string().trim_matches('"'), default, "{name}");
            said.push(name);
        }
    }
    assert_eq!(said.len(), 19, "{said:?}");
}
