use serde_json::{Map, Value};

use crate::shape::Head;

/// Returns what stands behind the layers, by the class that the configuration names first: a class for text has a lm_head, a
/// reward model or a classifier a score, a bare model nothing. A class that is not known is taken for one for text.
pub(super) fn head(config: &Map<String, Value>, text: &Map<String, Value>) -> Head {
    let class = |config: &Map<String, Value>| {
        let classes = config.get("architectures").and_then(Value::as_array);
        classes.and_then(|classes| classes.first()?.as_str()).map(str::to_owned)
    };
    let Some(class) = class(config).or_else(|| class(text)) else {
        return Head::LanguageModel;
    };
    let has = |words: &[&str]| words.iter().any(|word| class.contains(word));
    if has(&["CausalLM", "LMHead", "ConditionalGeneration", "MaskedLM", "Chat"]) {
        return Head::LanguageModel;
    }
    if has(&["Classification", "Reward", "QuestionAnswering"]) {
        return Head::Score(labels(config));
    }
    if has(&["Embedding"]) || (class.ends_with("Model") && !has(&["For"])) {
        return Head::Absent;
    }
    Head::LanguageModel
}

/// Rows of the score; without a word on them two, as in transformers.
fn labels(config: &Map<String, Value>) -> u64 {
    const DEFAULT: u64 = 2;
    let stated = config.get("num_labels").and_then(Value::as_u64);
    let named = || Some(config.get("id2label")?.as_object()?.len() as u64);
    stated.or_else(named).filter(|labels| *labels > 0).unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::head;
    use crate::shape::Head;

    #[test]
    fn the_class_tells_the_head() {
        let of = |config: Value| head(config.as_object().unwrap(), &Map::new());
        for (class, expected) in [
            ("LlamaForCausalLM", Head::LanguageModel),
            ("GPT2LMHeadModel", Head::LanguageModel),
            ("T5ForConditionalGeneration", Head::LanguageModel),
            ("InternVLChatModel", Head::LanguageModel),
            ("SomethingNew", Head::LanguageModel),
            ("MistralModel", Head::Absent),
            ("Qwen3ForTextEmbedding", Head::Absent),
            ("Qwen2ForSequenceClassification", Head::Score(2)),
            ("Qwen2ForRewardModel", Head::Score(2)),
        ] {
            assert_eq!(of(json!({"architectures": [class]})), expected, "{class}");
        }
        let reward = json!({"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}});
        assert_eq!(of(reward), Head::Score(1));
        assert_eq!(of(json!({"architectures": []})), Head::LanguageModel);
        assert_eq!(of(json!({})), Head::LanguageModel);
    }
}
