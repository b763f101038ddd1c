use serde_json::{Map, Value};

use crate::shape::{Head, Score};

/// Returns the head by the first class that the configuration names: a class that generates text has a lm_head, a
/// reward model or a classifier a score, and a bare model nothing. An unknown class is assumed to generate text.
pub(super) fn head(config: &Map<String, Value>, text: &Map<String, Value>, hidden_size: u64) -> Head {
    let class = |config: &Map<String, Value>| {
        let classes = config.get("architectures").and_then(Value::as_array);
        classes.and_then(|classes| classes.first()?.as_str()).map(str::to_owned)
    };
    let Some(class) = class(config).or_else(|| class(text)) else {
        return Head::LANGUAGE_MODEL;
    };
    let has = |words: &[&str]| words.iter().any(|word| class.contains(word));
    if has(&[
        "CausalLM",
        "LMHead",
        "ConditionalGeneration",
        "MaskedLM",
        "Chat",
        "DoubleHeads",
        // Classes of remote code, and Qwen2.5-Omni's name of the whole model.
        "OmniModel",
        "AquilaModel",
        "LlavaLlamaModel",
    ]) {
        return Head::LANGUAGE_MODEL;
    }
    if has(&["Classification", "Reward", "QuestionAnswering"]) {
        return Head {
            makes_text: false,
            scores: scores(config, &class, hidden_size),
        };
    }
    let is_bare = class.ends_with("Model") && !has(&["For"]);
    if is_bare || has(&["Embedding", "TextEncoding", "Retrieval"]) {
        return Head::ABSENT;
    }
    Head::LANGUAGE_MODEL
}

/// Returns the score of a class, as in transformers and in Qwen's own code for its reward models. These have an
/// additional layer before the last, and a reward model gives one number by default.
fn scores(config: &Map<String, Value>, class: &str, hidden_size: u64) -> Vec<Score> {
    let score = |stem: &str, rows, bias| Score {
        stem: stem.to_owned(),
        rows,
        columns: hidden_size,
        bias,
    };
    match class {
        "Qwen2ForRewardModel" | "Qwen2ForProcessRewardModel" => {
            let rows = labels(config, if class.contains("Process") { 2 } else { 1 });
            vec![score("score.0", hidden_size, true), score("score.2", rows, true)]
        }
        _ if class.contains("QuestionAnswering") => vec![score("qa_outputs", labels(config, 2), true)],
        _ if class.contains("Reward") => vec![score("score", labels(config, 1), false)],
        _ => vec![score("score", labels(config, 2), class.contains("TokenClassification"))],
    }
}

/// Returns the number of rows of the score; `absent` where the configuration does not give it.
fn labels(config: &Map<String, Value>, absent: u64) -> u64 {
    let stated = config.get("num_labels").and_then(Value::as_u64);
    let named = || Some(config.get("id2label")?.as_object()?.len() as u64);
    stated.or_else(named).filter(|labels| *labels > 0).unwrap_or(absent)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::head;
    use crate::shape::Head;

    fn of(config: &Value) -> Head {
        head(config.as_object().unwrap(), &Map::new(), 64)
    }

    /// Returns, for each matrix, the number of rows and whether there is a bias.
    fn scores(config: &Value) -> Vec<(u64, bool)> {
        let head = of(config);
        assert!(!head.makes_text, "{config}");
        head.scores.iter().map(|score| (score.rows, score.bias)).collect()
    }

    #[test]
    fn the_class_tells_the_head() {
        for (class, expected) in [
            ("LlamaForCausalLM", Head::LANGUAGE_MODEL),
            ("GPT2LMHeadModel", Head::LANGUAGE_MODEL),
            ("GPT2DoubleHeadsModel", Head::LANGUAGE_MODEL),
            ("T5ForConditionalGeneration", Head::LANGUAGE_MODEL),
            ("InternVLChatModel", Head::LANGUAGE_MODEL),
            ("ChatGLMModel", Head::LANGUAGE_MODEL),
            ("Qwen2_5OmniModel", Head::LANGUAGE_MODEL),
            ("AquilaModel", Head::LANGUAGE_MODEL),
            ("LlavaLlamaModel", Head::LANGUAGE_MODEL),
            ("LlavaModel", Head::ABSENT),
            ("SomethingNew", Head::LANGUAGE_MODEL),
            ("MistralModel", Head::ABSENT),
            ("Qwen3ForTextEmbedding", Head::ABSENT),
        ] {
            assert_eq!(of(&json!({"architectures": [class]})), expected, "{class}");
        }
        assert_eq!(of(&json!({"architectures": []})), Head::LANGUAGE_MODEL);
        assert_eq!(of(&json!({})), Head::LANGUAGE_MODEL);
    }

    #[test]
    fn scores_have_the_rows_and_layers_of_their_class() {
        for (class, expected) in [
            ("Qwen2ForSequenceClassification", &[(2, false)][..]),
            ("LlamaForTokenClassification", &[(2, true)]),
            ("LlamaForQuestionAnswering", &[(2, true)]),
            ("InternLM2ForRewardModel", &[(1, false)]),
            ("Qwen2ForRewardModel", &[(64, true), (1, true)]),
            ("Qwen2ForProcessRewardModel", &[(64, true), (2, true)]),
        ] {
            assert_eq!(scores(&json!({"architectures": [class]})), expected, "{class}");
        }
        let one = json!({"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}});
        assert_eq!(scores(&one), [(1, false)]);
    }
}
