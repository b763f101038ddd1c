//! Checks the words in workers' reports against the known ones.

use joulemark_measurement::quoted;
use joulemark_measurement::{CapabilityCard, LoadReport, RequestMeasurement};
use joulemark_worker::protocol::ProtocolError;

/// Known device names. A worker has the prompts, and its words appear in results that every user can read, so only
/// known words are accepted from it.
const DEVICES: [&str; 4] = ["cpu", "cuda", "metal", "cuda (pretended)"];
/// Names as in the engines' tensor library; `none` is for the synthetic engine, `unknown` for a server.
const ACTIVATION_DTYPES: [&str; 17] = [
    "none", "unknown", "u8", "u32", "i16", "i32", "i64", "bf16", "f16", "f32", "f64", "f8e4m3", "f8e5m2", "f8e8m0",
    "f6e2m3", "f6e3m2", "f4",
];
const FINISH_REASONS: [&str; 5] = ["length", "stop", "tool_calls", "content_filter", "unknown"];
/// Maximum length in characters of a name that a server reports, its own or a model's.
const MAX_NAME_CHARS: usize = 500;
/// Maximum number of names that a server may report.
const MAX_NAMES: usize = 1000;

/// Checks the words in a rank's load report.
///
/// # Errors
/// Returns [`ProtocolError::Malformed`], which names the field.
pub fn check_load(load: &LoadReport) -> Result<(), ProtocolError> {
    is_known("device", &load.device, &DEVICES)?;
    for part in &load.layers {
        is_known("layers.device", &part.device, &DEVICES)?;
    }
    is_known("activation_dtype", &load.activation_dtype, &ACTIVATION_DTYPES)?;
    load.server
        .as_ref()
        .map_or(Ok(()), |server| are_names(&server.capabilities))
}

/// Checks the names that a server reports about itself, which it does before it receives a prompt.
fn are_names(card: &CapabilityCard) -> Result<(), ProtocolError> {
    let names = || {
        card.models
            .iter()
            .chain(&card.refuses)
            .chain(&card.server)
            .chain(&card.server_version)
    };
    let is_name = |name: &String| name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if names().count() <= MAX_NAMES && names().all(is_name) {
        return Ok(());
    }
    Err(ProtocolError::Malformed(format!(
        "a name that the server reports is too long or not text, or there are too many; accepted are at most \
         {MAX_NAMES} names of at most {MAX_NAME_CHARS} characters"
    )))
}

/// Checks the words in a request's measurement.
pub fn check_request(request: &RequestMeasurement) -> Result<(), ProtocolError> {
    is_known("finish_reason", &request.finish_reason, &FINISH_REASONS)
}

fn is_known(field: &str, word: &str, known: &[&str]) -> Result<(), ProtocolError> {
    if known.contains(&word) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(ProtocolError::Malformed(format!(
        "{field} is {}; accepted are {known}",
        quoted(word)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_rejected_since_it_could_quote_a_prompt() {
        for word in ["length", "stop"] {
            assert_eq!(is_known("finish_reason", word, &FINISH_REASONS), Ok(()));
        }
        for word in ["", "Length", "the patient's name", "length "] {
            let error = is_known("finish_reason", word, &FINISH_REASONS).unwrap_err();
            assert!(
                error.to_string().contains("accepted are length, stop, tool_calls"),
                "{error}"
            );
        }
    }
}
