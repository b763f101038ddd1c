use serde_json::Value;

/// Names under which multimodal configurations keep their text model's part.
const NAMES: [&str; 4] = ["text_config", "language_config", "llm_config", "thinker_config"];

/// Returns the text model's part of a multimodal configuration, or the whole of another one.
pub(crate) fn text_part(config: &Value) -> &Value {
    let part = NAMES
        .iter()
        .find_map(|name| config.get(*name).filter(|part| part.is_object()));
    match part {
        // Qwen-Omni keeps the text model within the part that thinks.
        Some(part) => part.get(NAMES[0]).filter(|text| text.is_object()).unwrap_or(part),
        None => config,
    }
}
