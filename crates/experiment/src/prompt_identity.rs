use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::dropped_prompts::{DroppedPrompts, sha256_of};
use super::{Prompts, Spec, SyntheticPrompts, TokenLength};

/// A description of an experiment's prompts that is equal for equal prompts and contains none of their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptIdentity {
    words: String,
    /// Submitter of the prompts, where the reader may not see them.
    hidden_of: Option<String>,
}

impl PromptIdentity {
    /// Returns the identity of an experiment's prompts: the hash of its texts or of its file, or what they are
    /// generated from. Returns `None` where it is not known: prompts that are withheld from the reader, or deleted
    /// without a hash.
    pub fn of(spec: &Spec, withheld: Option<u32>, dropped: Option<&DroppedPrompts>) -> Option<Self> {
        let described = if let Some(replay) = spec.replayed_prompts() {
            let count = replay.requests.map(|count| count.to_string());
            let sha256 = replay.sha256.as_ref()?;
            format!("{} requests of file {sha256}", count.as_deref().unwrap_or("all"))
        } else if let Some(sha256) = &spec.prompt_source_sha256 {
            let count = spec.prompt_source_count.map(|count| count.to_string());
            format!("{} lines of file {sha256}", count.as_deref().unwrap_or("all"))
        } else if withheld.is_some() || spec.prompt_source.is_some() {
            return None;
        } else if let Some(dropped) = dropped {
            format!("{} texts {}", dropped.count, dropped.sha256.as_ref()?)
        } else if !spec.prompt_lines.is_empty() {
            texts(&spec.prompt_lines)?
        } else {
            match &spec.prompts {
                Prompts::Texts(list) => texts(list)?,
                Prompts::Dataset(set) => {
                    let count = set.count.map(|count| count.to_string());
                    format!("{} of set {}", count.as_deref().unwrap_or("all"), set.dataset)
                }
                Prompts::Synthetic { synthetic } => random(synthetic),
            }
        };
        let template = if spec.raw_prompt { "without" } else { "with" };
        Some(Self {
            words: format!("{described}, {template} template"),
            hidden_of: None,
        })
    }

    /// Returns the identity of `submitter`'s prompts for a reader who may not see them. It is comparable only with
    /// hidden prompts of the same submitter: otherwise a reader could submit a guess and learn whether it was right.
    #[must_use]
    pub fn hidden(self, submitter: Option<&str>) -> Self {
        Self {
            hidden_of: Some(submitter.unwrap_or_default().to_owned()),
            ..self
        }
    }

    /// Returns whether both are the same prompts; `None` where the reader may not know.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        (self.hidden_of == other.hidden_of).then(|| self.words == other.words)
    }

    /// Returns the SHA-256, in hex, of the texts or of the file; for prompts that are generated, of the description of
    /// what they are generated from.
    pub fn sha256(&self) -> String {
        let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.words.split([' ', ',']).find(is_digest) {
            Some(digest) => digest.to_owned(),
            None => hex::encode(Sha256::digest(&self.words)),
        }
    }

    /// Returns the description, without details of hidden prompts.
    pub fn as_str(&self) -> &str {
        match self.hidden_of {
            Some(_) => "texts that are withheld",
            None => &self.words,
        }
    }
}

/// Returns the description of synthetic prompts: everything that their tokens and their numbers of output tokens depend
/// on.
fn random(asked: &SyntheticPrompts) -> String {
    let length = |name: &str, length: &Option<TokenLength>| {
        let drawn = length.as_ref().map(|length| (length, length.bounds()));
        drawn.map_or_else(String::new, |(length, (least, most))| {
            format!(", {name} {} ± {} from {least} to {most}", length.mean, length.stddev)
        })
    };
    format!(
        "{} of {} random tokens, seed {}{}{}{}",
        asked.count,
        asked.input_tokens,
        asked.seed,
        length("input_length", &asked.input_length),
        length("output_length", &asked.output_length),
        asked
            .shared_prefix_tokens
            .map_or_else(String::new, |shared| format!(", {shared} shared"))
    )
}

/// Returns the description of an experiment's own prompts. The hash is the one that remains when they are deleted.
fn texts<T: Serialize>(list: &[T]) -> Option<String> {
    let Ok(Value::Array(values)) = serde_json::to_value(list) else {
        return None;
    };
    Some(format!("{} texts {}", values.len(), sha256_of(&values)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn spec(prompts: Value) -> Spec {
        let stored = json!({
            "config_name": "test", "model_name": "m.gguf", "prompts": prompts, "raw_prompt": false,
            "max_output_tokens": 4, "min_output_tokens": 4, "decoder": {"temperature": 0.0, "do_sample": false},
            "num_processes": 1, "gpus": [], "device": "cpu", "distribution": "shard", "fp_precision": "auto",
            "batch_size": 1, "warmup_iterations": 3, "num_cycles": 1, "labels": {},
        });
        serde_json::from_value(stored).expect("a stored spec")
    }

    fn of(prompts: Value) -> Option<PromptIdentity> {
        PromptIdentity::of(&spec(prompts), None, None)
    }

    #[test]
    fn equal_prompts_are_known_by_equal_words_which_hold_no_text() {
        let known = of(json!(["hello", "secret"])).expect("known");
        assert_eq!(Some(&known), of(json!(["hello", "secret"])).as_ref());
        assert!(!known.as_str().contains("secret"), "{}", known.as_str());
        let others = [
            json!(["hello"]),
            json!({"dataset": "short-32", "count": 4}),
            json!({"dataset": "short-32", "count": 5}),
            json!({"dataset": "short-32"}),
            json!({"synthetic": {"input_tokens": 8, "count": 2, "seed": 7}}),
            json!({"synthetic": {"input_tokens": 8, "count": 2, "seed": 8}}),
            json!({"synthetic": {"input_tokens": 8, "count": 2, "seed": 8, "shared_prefix_tokens": 4}}),
            json!({"synthetic": {"input_tokens": 8, "count": 2, "seed": 8,
                "input_length": {"mean": 8.0, "stddev": 2.0, "min": 2, "max": 14}}}),
            json!({"synthetic": {"input_tokens": 8, "count": 2, "seed": 8,
                "output_length": {"mean": 8.0, "stddev": 2.0, "min": 2, "max": 14}}}),
        ];
        let mut all: Vec<_> = others.into_iter().map(of).collect();
        all.push(Some(known.clone()));
        let raw = Spec {
            raw_prompt: true,
            ..spec(json!(["hello", "secret"]))
        };
        all.push(PromptIdentity::of(&raw, None, None));
        let mut words: Vec<_> = all.iter().flatten().map(PromptIdentity::as_str).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 11, "{words:?}");
    }

    #[test]
    fn prompts_of_a_replayed_file_are_known_by_the_file() {
        let of = |sha256: Option<&str>| {
            let load = json!({"replay": {"file": "trace.jsonl", "sha256": sha256, "has_prompts": true}});
            let replaying = Spec {
                load: serde_json::from_value(load).expect("a load"),
                ..spec(json!([]))
            };
            PromptIdentity::of(&replaying, None, None)
        };
        assert_eq!(of(None), None);
        assert!(of(Some("aa")).is_some());
        assert_ne!(of(Some("aa")), of(Some("bb")));
    }

    #[test]
    fn hidden_prompts_are_compared_only_with_those_of_the_same_submitter_and_show_nothing() {
        let known = of(json!(["hello"])).expect("known");
        let of_ada = known.clone().hidden(Some("ada"));
        assert_eq!(of_ada.is_same(&known), None, "a guess");
        assert_eq!(of_ada.is_same(&known.clone().hidden(Some("bob"))), None);
        assert_eq!(of_ada.is_same(&known.clone().hidden(Some("ada"))), Some(true));
        let other = of(json!(["world"])).expect("known").hidden(Some("ada"));
        assert_eq!(of_ada.is_same(&other), Some(false));
        assert_eq!(
            (of_ada.as_str(), other.as_str()),
            ("texts that are withheld", "texts that are withheld")
        );
    }

    #[test]
    fn prompts_that_were_dropped_are_known_by_their_hash_and_those_that_are_withheld_are_not() {
        let whole = of(json!(["hello", "secret"]));
        let texts = json!(["hello", "secret"]);
        let dropped = DroppedPrompts::of(texts.as_array().expect("a list"), Timestamp::UNIX_EPOCH);
        let empty = spec(json!([]));
        assert_eq!(PromptIdentity::of(&empty, None, Some(&dropped)), whole);
        assert_eq!(PromptIdentity::of(&empty, Some(2), None), None);
        let of_another = DroppedPrompts {
            sha256: None,
            ..dropped
        };
        assert_eq!(PromptIdentity::of(&empty, None, Some(&of_another)), None);
    }
}
