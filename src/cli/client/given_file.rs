//! Reads the files that a subcommand is given, and finds their media type.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::client::MediaType;

/// The name that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Reads a file, or returns `input` for standard input; also returns the name to show.
pub fn read_file(file: &Path, input: Option<&[u8]>) -> anyhow::Result<(String, Vec<u8>)> {
    let (shown, bytes) = match input.filter(|_| file == Path::new(STANDARD_INPUT)) {
        Some(input) => ("standard input".to_owned(), Ok(input.to_owned())),
        None => (file.display().to_string(), std::fs::read(file)),
    };
    let bytes = bytes.with_context(|| shown.clone())?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        bail!("{shown} is empty; it must contain JSON or YAML");
    }
    Ok((shown, bytes))
}

/// Parses an experiment that is changed before it is sent.
pub fn document(bytes: &[u8], media_type: MediaType) -> anyhow::Result<Value> {
    let document: Value = match media_type {
        MediaType::Json => serde_json::from_slice(bytes)?,
        MediaType::Yaml => {
            let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
            serde_saphyr::from_str(text).map_err(|_| anyhow::anyhow!("it is not valid YAML"))?
        }
    };
    match document.is_object() {
        true => Ok(document),
        false => bail!("it is not an object; accepted are the fields of an experiment"),
    }
}

/// Reads all of standard input.
pub fn read_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the media type by the file's extension, else by its content. Text that begins like a JSON object is JSON, so
/// that its errors are those of JSON.
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
    fn the_media_type_follows_from_the_extension_else_from_the_content() {
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
