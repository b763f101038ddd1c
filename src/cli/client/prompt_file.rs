//! Reads a local file of prompts into an experiment, and handles the SHA-256 that identifies a file of the server.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use joulemark_experiment::{PromptLine, read_prompt_lines};

/// Field with the SHA-256 of the file of prompts.
const DIGEST: &str = "prompt_source_sha256";

/// Reads a local file of prompts, in JSON Lines.
///
/// # Errors
/// Returns an error that names the file and each invalid line.
pub fn read(file: &Path) -> anyhow::Result<Vec<PromptLine>> {
    let shown = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(shown)?;
    let text = String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{} is not UTF-8 text", shown()))?;
    read_prompt_lines(&text).map_err(|bad| anyhow::anyhow!("{}: {bad}", shown()))
}

/// Returns the experiment with these prompts instead of its own: as plain texts if every line has only a prompt.
pub fn put_into(mut experiment: Value, lines: &[PromptLine]) -> Value {
    let Some(object) = experiment.as_object_mut() else {
        return experiment;
    };
    for name in [
        "prompts",
        "prompt_lines",
        "prompt_source",
        "prompt_source_count",
        DIGEST,
    ] {
        object.shift_remove(name);
    }
    let (name, prompts) = match lines.iter().all(PromptLine::is_plain) {
        true => (
            "prompts",
            json!(lines.iter().map(|line| &line.prompt).collect::<Vec<_>>()),
        ),
        false => ("prompt_lines", json!(lines)),
    };
    object.insert(name.to_owned(), prompts);
    experiment
}

/// Returns the experiment and the SHA-256 of its file of prompts. The SHA-256 is removed from the experiment unless the
/// submission is strict, since the server rejects a file with another one.
pub fn take_digest(mut experiment: Value, is_strict: bool) -> (Value, Option<String>) {
    if is_strict {
        return (experiment, None);
    }
    let digest = experiment
        .as_object_mut()
        .and_then(|object| object.shift_remove(DIGEST));
    (experiment, digest.and_then(|digest| digest.as_str().map(str::to_owned)))
}

/// Returns a message if the accepted experiment's file of prompts does not have this SHA-256.
pub fn changed_file(digest: &str, accepted: &Value) -> Option<String> {
    let now = accepted[DIGEST].as_str()?;
    let name = accepted["prompt_source"].as_str().unwrap_or_default();
    (now != digest).then(|| {
        format!("the prompts differ from those of the repeated experiment: {name} had SHA-256 {digest}, now {now}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_of_a_file_replace_those_of_the_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.jsonl");
        std::fs::write(&file, "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n").unwrap();
        let own = json!({"model_name": "m", "prompts": [], "prompt_source": "s.jsonl", "prompt_source_sha256": "ab"});
        let plain = put_into(own.clone(), &read(&file).unwrap());
        assert_eq!(plain, json!({"model_name": "m", "prompts": ["a", "b"]}));
        std::fs::write(&file, "{\"prompt\": \"a\", \"max_output_tokens\": 2}\n").unwrap();
        let lines = put_into(own, &read(&file).unwrap());
        assert_eq!(
            lines,
            json!({"model_name": "m", "prompt_lines": [{"prompt": "a", "max_output_tokens": 2}]})
        );
        std::fs::write(&file, "{}\n").unwrap();
        let said = read(&file).unwrap_err().to_string();
        assert!(said.contains("p.jsonl: line 1 has neither"), "{said}");
    }

    #[test]
    fn another_file_of_prompts_is_reported_and_only_a_strict_submission_sends_the_digest() {
        let own = json!({"prompt_source": "s.jsonl", "prompt_source_sha256": "ab"});
        assert_eq!(take_digest(own.clone(), true), (own.clone(), None));
        let (sent, digest) = take_digest(own.clone(), false);
        assert_eq!(
            (sent, digest.as_deref()),
            (json!({"prompt_source": "s.jsonl"}), Some("ab"))
        );
        assert_eq!(changed_file("ab", &own), None);
        assert!(
            changed_file("cd", &own)
                .unwrap()
                .contains("s.jsonl had SHA-256 cd, now ab")
        );
    }
}
