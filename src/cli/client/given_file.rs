//! Files that a command is given: what they hold, and as what it is sent.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::client::MediaType;

/// The name that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Returns what a file holds, with its name as it is shown.
pub fn read_file(file: &Path, input: Option<&[u8]>) -> anyhow::Result<(String, Vec<u8>)> {
    let (shown, bytes) = match input.filter(|_| file == Path::new(STANDARD_INPUT)) {
        Some(input) => ("standard input".to_owned(), Ok(input.to_owned())),
        None => (file.display().to_string(), std::fs::read(file)),
    };
    let bytes = bytes.with_context(|| shown.clone())?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        bail!("{shown} is empty; accepted is JSON or YAML");
    }
    Ok((shown, bytes))
}

/// Reads an experiment that is to be changed before it is sent.
pub fn document(bytes: &[u8], media_type: MediaType) -> anyhow::Result<Value> {
    let document: Value = match media_type {
        MediaType::Json => serde_json::from_slice(bytes)?,
        MediaType::Yaml => {
            let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
            serde_saphyr::from_str(text).map_err(|_| anyhow::anyhow!("it is not YAML that can be read"))?
        }
    };
    match document.is_object() {
        true => Ok(document),
        false => bail!("it is no object; accepted is an experiment's fields"),
    }
}

/// Reads all of standard input.
pub fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns how a file is sent: by the name, else by the text. What begins like a JSON object is sent as one, so that its errors
/// are JSON's.
pub fn media_type(file: &Path, bytes: &[u8]) -> MediaType {
    let extension = file.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => MediaType::Json,
        Some("yaml" | "yml") => MediaType::Yaml,
        _ => {
            let mut first = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
            let quoted = first.next() == Some(&b'{') && first.next().is_some_and(|byte| b"\"}".contains(byte));
            if quoted { MediaType::Json } else { MediaType::Yaml }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_sent_as_what_its_name_says_else_as_what_it_is() {
        for (name, text, expected) in [
            ("a.json", "{", MediaType::Json),
            ("a.YML", "{}", MediaType::Yaml),
            ("a.yaml", "a: 1", MediaType::Yaml),
            ("-", "{\"a\": 1}", MediaType::Json),
            ("-", " {\n\"a\" ", MediaType::Json),
            ("-", "{a: 1}", MediaType::Yaml),
            ("a.txt", "a: 1", MediaType::Yaml),
        ] {
            assert_eq!(media_type(Path::new(name), text.as_bytes()), expected, "{name} {text}");
        }
    }
}
