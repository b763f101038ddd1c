use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, status_text};
use crate::failure::{Failure, FailureReason};

/// Returns the token ids of a text, without special tokens that a server adds, by `/tokenize` of vLLM, SGLang and
/// llama.cpp. The request has the field names of all three.
///
/// # Errors
/// Returns a [`Failure`], also where the server has no such path or answers without a list of ids.
pub async fn tokenize(client: &Client, model: &str, text: &str, timeout: Duration) -> Result<Vec<u32>, Failure> {
    let asked = json!({
        "model": model, "prompt": text, "add_special_tokens": false, "content": text, "add_special": false,
    });
    let (status, _, page) = client.post("/tokenize", &asked, timeout).await?;
    if !status.is_success() {
        return Err(Failure::new(FailureReason::Status, status_text(status, &page)));
    }
    token_ids(&page).ok_or_else(|| Failure::unreadable("its answer to /tokenize has no list of token ids in `tokens`"))
}

fn token_ids(page: &str) -> Option<Vec<u32>> {
    let page: Value = serde_json::from_str(page).ok()?;
    let tokens = page.get("tokens")?.as_array()?;
    let id = |token: &Value| u32::try_from(token.as_u64()?).ok();
    tokens.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::token_ids;

    #[test]
    fn a_list_of_ids_is_read_and_other_answers_are_rejected() {
        assert_eq!(
            token_ids(r#"{"count": 2, "max_model_len": 9, "tokens": [5, 7]}"#),
            Some(vec![5, 7])
        );
        for bad in [
            "",
            "[]",
            r#"{"tokens": 3}"#,
            r#"{"tokens": ["a"]}"#,
            r#"{"tokens": [-1]}"#,
            r#"{"ids": [1]}"#,
        ] {
            assert_eq!(token_ids(bad), None, "{bad}");
        }
    }
}
