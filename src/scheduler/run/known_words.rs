use joulemark_measurement::quoted;
use joulemark_measurement::{CapabilityCard, LoadReport, RequestMeasurement};
use joulemark_worker::protocol::ProtocolError;

/// Words of a worker stand in results that everybody reads. A worker has the prompts, so only words that are known are
/// taken from it.
const DEVICES: [&str; 4] = ["cpu", "cuda", "metal", "cuda (pretended)"];
/// As the engines' tensor library names them; `none` is the synthetic engine's, `unknown` a server's.
const ACTIVATION_DTYPES: [&str; 17] = [
    "none", "unknown", "u8", "u32", "i16", "i32", "i64", "bf16", "f16", "f32", "f64", "f8e4m3", "f8e5m2", "f8e8m0",
    "f6e2m3", "f6e3m2", "f4",
];
const FINISH_REASONS: [&str; 5] = ["length", "stop", "tool_calls", "content_filter", "unknown"];
/// The longest name that is taken from a server, of itself or of a model.
const MAX_NAME_CHARS: usize = 500;
/// The most names that are taken from a server.
const MAX_NAMES: usize = 1000;

/// Checks what a rank says of its load.
///
/// # Errors
/// [`ProtocolError::Malformed`] that names the field.
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

/// Checks what a server says of itself, which it does before it has any prompt.
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
        "the server's names are too many, too long or no text; accepted are {MAX_NAMES} of {MAX_NAME_CHARS} characters"
    )))
}

/// Checks the words of a request.
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
    fn a_word_that_could_be_a_prompt_is_not_taken() {
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
