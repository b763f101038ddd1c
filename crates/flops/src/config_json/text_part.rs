use serde_json::Value;

/// Keys under which multimodal configurations store the text model's part.
const NAMES: [&str; 4] = ["text_config", "language_config", "llm_config", "thinker_config"];

/// Returns the text model's part of a multimodal configuration, or the whole configuration of another model.
pub(crate) fn text_part(config: &Value) -> &Value {
    let part = NAMES
        .iter()
        .find_map(|name| config.get(*name).filter(|part| part.is_object()));
    match part {
        // Qwen-Omni stores the text model within the part called thinker.
        Some(part) => part.get(NAMES[0]).filter(|text| text.is_object()).unwrap_or(part),
        None => config,
    }
}
