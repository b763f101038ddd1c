//! Finds the experiment in a document that a server writes: results, a manifest, an experiment as the API shows it, or
//! a line of an export.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{DecoderRequest, ExperimentRequest};

/// An experiment that was read from a document, to be submitted again.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// The experiment as a submission writes it.
    pub experiment: Value,
    /// Number of its prompts that are missing because they belong to another user, or because an export omits them.
    pub withheld_prompts: u64,
    /// Number of its prompts that are missing because the server deleted them; 0 for exports, which never contain
    /// prompts.
    pub dropped_prompts: u64,
    /// Name and SHA-256 of each weight file that it ran with; the SHA-256 is `None` where the document has none. Empty
    /// where the document names no file.
    pub model_sha256: Vec<(String, Option<String>)>,
    /// Whether the document is a manifest, which a server accepts unchanged.
    pub is_manifest: bool,
    /// Digest of each cycle's answers; empty where the document has none.
    pub outputs: Vec<String>,
}

impl Repeat {
    /// Returns the experiment of a document; `None` where the document has another form.
    pub fn of(document: &Value) -> Option<Self> {
        let object = document.as_object()?;
        if object.contains_key("prompt_kind") {
            return Some(of_export(object));
        }
        if let Some(experiment) = object.get("experiment").and_then(Value::as_object)
            && (object.contains_key("validation") || object.contains_key("manifest"))
        {
            return Some(Self {
                experiment: Value::Object(fields_of(experiment)),
                withheld_prompts: withheld(object),
                dropped_prompts: dropped(object),
                model_sha256: digests(&document["model"]["sha256"]),
                is_manifest: object.contains_key("manifest"),
                outputs: outputs(document),
            });
        }
        let is_shown = ["id", "state", "created_at"]
            .iter()
            .all(|key| object.contains_key(*key));
        is_shown.then(|| Self {
            experiment: Value::Object(fields_of(object)),
            withheld_prompts: withheld(object),
            dropped_prompts: dropped(object),
            model_sha256: Vec::new(),
            is_manifest: false,
            outputs: Vec::new(),
        })
    }

    /// Returns the experiment without the fields that have their default, as a person would write it.
    #[must_use]
    pub fn without_defaults(&self) -> Map<String, Value> {
        let mut fields = self.experiment.as_object().cloned().unwrap_or_default();
        let defaults: Map<_, _> = ExperimentRequest::defaults()
            .into_iter()
            .map(|(name, default)| (name.to_owned(), default))
            .collect();
        fields.retain(|name, value| !value.is_null() && defaults.get(name) != Some(value));
        if let (Some(decoder), decoders) = (
            fields.get_mut("decoder").and_then(Value::as_object_mut),
            DecoderRequest::defaults(),
        ) {
            decoder.retain(|name, value| !decoders.contains(&(name.as_str(), value.clone())));
        }
        fields.retain(|_, value| value.as_object().is_none_or(|object| !object.is_empty()));
        fields
    }

    /// Describes the digests of model files that the document lacks; `None` where it has all.
    pub fn missing_digests(&self) -> Option<String> {
        let names = self.model_sha256.iter().filter(|(_, digest)| digest.is_none());
        let names: Vec<_> = names.map(|(file, _)| file.as_str()).collect();
        match (self.model_sha256.is_empty(), names.is_empty()) {
            (true, _) => Some("no digest of a model's file (model.sha256 of results)".to_owned()),
            (false, false) => Some(format!("no digest of {}", names.join(", "))),
            (false, true) => None,
        }
    }

    /// Returns whether a later run gave the same answers in all cycles that both runs have. Returns `None` where one
    /// document has no digests, and where sampling without a seed gives each run other answers.
    pub fn has_outputs_of(&self, later: &Self) -> Option<bool> {
        let decoder = &self.experiment["decoder"];
        let is_drawn_anew = decoder["do_sample"] == true && decoder["seed"].is_null();
        if is_drawn_anew || self.outputs.is_empty() || later.outputs.is_empty() {
            return None;
        }
        Some(self.outputs.iter().zip(&later.outputs).all(|(was, is)| was == is))
    }

    /// Returns every difference between the model files of this run and of a later one.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let of = |files: &[(String, Option<String>)], name: &str| {
            files
                .iter()
                .find(|(file, _)| file == name)
                .map(|(_, digest)| digest.clone())
        };
        let names = self
            .model_sha256
            .iter()
            .chain(&later.model_sha256)
            .map(|(file, _)| file);
        let names: BTreeSet<_> = names.collect();
        let told = names.into_iter().filter_map(|name| {
            let is = match of(&later.model_sha256, name) {
                Some(Some(digest)) => digest,
                Some(None) => "it has no digest".to_owned(),
                None => "it is not among the model's files".to_owned(),
            };
            match of(&self.model_sha256, name) {
                Some(Some(was)) if was == is => None,
                Some(Some(was)) => Some(format!("{name} had {was}, now {is}")),
                // Without an earlier digest there is nothing to compare.
                Some(None) => None,
                None => Some(format!("{name} was not among the model's files, now {is}")),
            }
        });
        told.collect()
    }
}

fn fields_of(object: &Map<String, Value>) -> Map<String, Value> {
    let names = ExperimentRequest::NAMES.iter();
    let present = names.filter_map(|name| Some(((*name).to_owned(), object.get(*name)?.clone())));
    present.collect()
}

fn withheld(object: &Map<String, Value>) -> u64 {
    object.get("prompts_withheld").and_then(Value::as_u64).unwrap_or(0)
}

fn dropped(object: &Map<String, Value>) -> u64 {
    let dropped = object.get("prompts_dropped").and_then(|dropped| dropped.get("count"));
    dropped.and_then(Value::as_u64).unwrap_or(0)
}

fn digests(list: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let files = list.as_array().into_iter().flatten();
    files
        .filter_map(|file| Some((text(&file["file"])?, text(&file["sha256"]))))
        .collect()
}

fn outputs(document: &Value) -> Vec<String> {
    let cycles = document["outputs"]["cycles"].as_array().into_iter().flatten();
    cycles.filter_map(|cycle| cycle.as_str().map(str::to_owned)).collect()
}

/// Reads a line of an export, in which the decoder's fields are columns of their own and lists and objects may be
/// texts.
fn of_export(line: &Map<String, Value>) -> Repeat {
    let line: Map<_, _> = line
        .iter()
        .map(|(key, value)| (key.clone(), unwrapped(key, value)))
        .collect();
    let mut experiment = fields_of(&line);
    let decoder = DecoderRequest::NAMES.iter();
    let decoder: Map<_, _> = decoder
        .filter_map(|name| Some(((*name).to_owned(), line.get(*name)?.clone())))
        .collect();
    experiment.insert("decoder".to_owned(), decoder.into());
    let value = |key: &str| line.get(key).cloned().unwrap_or_default();
    let prompts = match line["prompt_kind"].as_str() {
        Some("dataset") => json!({"dataset": value("prompt_dataset"), "count": value("prompt_count")}),
        Some("synthetic") => json!({"synthetic": {
            "input_tokens": value("prompt_input_tokens"), "count": value("prompt_count"), "seed": value("prompt_seed"),
            "input_length": value("prompt_input_length"), "output_length": value("prompt_output_length"),
            "shared_prefix_tokens": value("prompt_shared_prefix_tokens"),
        }}),
        _ => json!([]),
    };
    let is_withheld = prompts.is_array() && line["prompt_kind"] != "file";
    let replays = line.get("load").is_some_and(|load| load.get("replay").is_some());
    if line["prompt_kind"] == "file" && !replays {
        experiment.insert("prompt_source_count".to_owned(), value("prompt_count"));
    }
    experiment.insert("prompts".to_owned(), prompts);
    Repeat {
        experiment: experiment.into(),
        withheld_prompts: value("prompt_count").as_u64().filter(|_| is_withheld).unwrap_or(0),
        dropped_prompts: 0,
        model_sha256: digests(&value("model_sha256")),
        is_manifest: false,
        outputs: Vec::new(),
    }
}

/// Returns the value of a column; lists and objects that are written as a text are parsed.
fn unwrapped(key: &str, value: &Value) -> Value {
    const DOCUMENTS: [&str; 11] = [
        "gpus",
        "labels",
        "node_labels",
        "model_sha256",
        "engine_arguments",
        "warmup",
        "stop_rule",
        "prompt_input_length",
        "prompt_output_length",
        "load",
        "slo",
    ];
    let is_document = DOCUMENTS.contains(&key);
    let text = value.as_str().filter(|_| is_document);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn the_experiment_of_each_kind_of_document_is_found_and_accepted() {
        let spec = json!({
            "config_name": "c", "model_name": "m", "prompts": ["a"], "decoder": {"temperature": 0.0, "seed": null},
            "gpus": [], "gpu_count": 0, "labels": {"a": "b"}, "num_cycles": 2,
        });
        let digest = json!([{"file": "m.gguf", "sha256": "ab"}]);
        let results = json!({"id": "x", "experiment": spec, "validation": {}, "model": {"sha256": digest}});
        let mut shown =
            json!({"id": "x", "state": "completed", "created_at": "t", "attempt": 1, "prompts_withheld": null});
        shown.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        for (document, known) in [(results, 1), (shown, 0)] {
            let repeat = Repeat::of(&document).unwrap();
            assert_eq!((&repeat.experiment, repeat.withheld_prompts), (&spec, 0));
            assert_eq!(repeat.model_sha256.len(), known);
            assert!(parse(&repeat.experiment).is_ok());
        }
        let line = json!({
            "id": "x", "model_name": "m", "prompt_kind": "file", "prompt_source": "a.jsonl", "prompt_count": 3,
            "prompt_source_sha256": "ab".repeat(32), "gpus": "[]",
        });
        let repeat = Repeat::of(&line).unwrap();
        let request = parse(&repeat.experiment).unwrap();
        assert_eq!(repeat.withheld_prompts, 0);
        assert_eq!(
            (request.prompt_source.as_deref(), request.prompt_source_count),
            (Some("a.jsonl"), Some(3))
        );
        let line = json!({
            "id": "x", "model_name": "m", "prompt_kind": "synthetic", "prompt_input_tokens": 4, "prompt_count": 2,
            "prompt_seed": 7, "temperature": 0.5, "gpus": "[]", "labels": "{\"a\":\"b\"}", "tokens_per_second": 1.0,
            "node": "box", "node_labels": "{\"rack\":\"7\"}",
        });
        let repeat = Repeat::of(&line).unwrap();
        assert_eq!(repeat.experiment["prompts"]["synthetic"]["seed"], 7);
        assert_eq!(
            (&repeat.experiment["decoder"]["temperature"], &repeat.experiment["gpus"]),
            (&json!(0.5), &json!([]))
        );
        assert_eq!(
            (&repeat.experiment["node"], &repeat.experiment["node_labels"]),
            (&json!("box"), &json!({"rack": "7"}))
        );
        assert!(parse(&repeat.experiment).is_ok(), "{:?}", parse(&repeat.experiment));
    }

    #[test]
    fn fields_with_their_default_are_left_out_and_the_rest_is_the_same_experiment() {
        let asked = json!({"model_name": "m", "prompts": ["a"], "batch_size": 4, "decoder": {"temperature": 0.5}});
        let filled = |document: &Value| parse(document).unwrap();
        let mut shown = json!({"id": "x", "state": "completed", "created_at": "t", "num_cycles": null, "labels": {}});
        let defaults = ExperimentRequest::defaults().into_iter();
        let fields = defaults.map(|(name, default)| (name.to_owned(), default));
        shown.as_object_mut().unwrap().extend(fields);
        shown
            .as_object_mut()
            .unwrap()
            .extend(asked.as_object().unwrap().clone());
        let short = Value::from(Repeat::of(&shown).unwrap().without_defaults());
        assert_eq!(short, asked);
        assert_eq!(filled(&short), filled(&asked));
    }

    #[test]
    fn every_difference_of_the_model_files_is_listed() {
        let of = |files: Value| {
            Repeat::of(&json!({"experiment": {}, "validation": {}, "model": {"sha256": files}})).unwrap()
        };
        let file = |name: &str, digest: &str| json!({"file": name, "sha256": digest});
        let was = of(json!([file("a", "1"), file("b", "2"), file("c", "3"), {"file": "d", "sha256": null}]));
        let is = of(json!([file("a", "1"), file("b", "9"), file("d", "4"), file("e", "5")]));
        assert_eq!(
            was.differences(&is),
            [
                "b had 2, now 9",
                "c had 3, now it is not among the model's files",
                "e was not among the model's files, now 5"
            ]
        );
        assert_eq!(was.missing_digests().as_deref(), Some("no digest of d"));
        assert_eq!(is.missing_digests(), None);
        assert_eq!(is.differences(&is), Vec::<String>::new());
        assert!(of(json!([])).missing_digests().unwrap().contains("model.sha256"));
    }

    #[test]
    fn missing_prompts_are_counted_and_a_submission_is_not_an_answer() {
        let line = json!({"model_name": "m", "prompt_kind": "texts", "prompt_count": 3});
        assert_eq!(Repeat::of(&line).unwrap().withheld_prompts, 3);
        let shown = json!({"id": "x", "state": "queued", "created_at": "t", "model_name": "m", "prompts": [],
            "prompts_withheld": 2});
        assert_eq!(Repeat::of(&shown).unwrap().withheld_prompts, 2);
        let dropped = json!({"count": 4, "sha256": "ab", "dropped_at": "t"});
        let shown = json!({"id": "x", "state": "failed", "created_at": "t", "prompts": [], "prompts_dropped": dropped});
        let results = json!({"experiment": {"prompts": []}, "validation": {}, "prompts_dropped": dropped});
        for document in [shown, results] {
            let repeat = Repeat::of(&document).unwrap();
            assert_eq!((repeat.withheld_prompts, repeat.dropped_prompts), (0, 4), "{document}");
        }
        for other in [json!({"model_name": "m"}), json!([]), json!({"experiment": {}})] {
            assert_eq!(Repeat::of(&other), None);
        }
    }
}
