use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Prompts of an experiment's own that the server has deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedPrompts {
    /// Number of the prompts.
    #[schema(example = 64)]
    pub count: u32,
    /// SHA-256, in hex, of `prompts` or `prompt_lines` as a JSON list without white space between its parts, in UTF-8
    /// (in Python `json.dumps(prompts, ensure_ascii=False, separators=(",", ":"))`); null where the prompts are another
    /// user's.
    #[schema(example = "c0ddd62c7717180e7ffb8a15bb9674d3ec92592e0b7ac7d1d5289836b4553be2")]
    pub sha256: Option<String>,
    /// When they were deleted, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub dropped_at: Timestamp,
}

impl DroppedPrompts {
    /// Describes prompts that are about to be deleted.
    pub fn of(texts: &[Value], dropped_at: Timestamp) -> Self {
        Self {
            count: u32::try_from(texts.len()).unwrap_or(u32::MAX),
            sha256: Some(sha256_of(texts)),
            dropped_at,
        }
    }
}

/// Returns the SHA-256, in hex, of texts as one JSON list.
pub(crate) fn sha256_of(texts: &[Value]) -> String {
    hex::encode(Sha256::digest(Value::from(texts).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_is_the_one_that_other_programs_make_of_the_list() {
        let texts = json!(["hello", "größe \"½\"\n\u{1}"]);
        let dropped = DroppedPrompts::of(texts.as_array().unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(dropped.count, 2);
        let expected = "164aae7574f007448b27a8b2e5504d2eeb4ea87c0c0edf6c64b0b90059db7e1d";
        assert_eq!(dropped.sha256.as_deref(), Some(expected));
    }
}
