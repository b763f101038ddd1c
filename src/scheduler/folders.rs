//! Removes the server's file paths from texts that clients see.

use std::path::Path;

/// Replacement for the folders of a path.
const ELLIPSIS: &str = "…/";

/// Returns the text with each path under the models folder replaced by the model's name, relative to that folder.
pub fn by_name(text: &str, models: &Path) -> String {
    let mut text = text.to_owned();
    let canonical = models.canonicalize().unwrap_or_else(|_| models.to_owned());
    for folder in [canonical.as_path(), models] {
        let folder = folder.to_string_lossy();
        if folder.trim_matches(['/', '.']).is_empty() {
            continue;
        }
        let folder = folder.trim_end_matches('/');
        text = text
            .replace(&format!("{folder}/"), "")
            .replace(&format!("the models folder {folder}"), "the models folder")
            .replace(folder, "the models folder");
    }
    text
}

/// Returns the text with each absolute path cut to its last component.
pub fn without_folders(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('/') {
        let (before, path) = rest.split_at(start);
        let end = path.find(|c: char| !is_of_path(c)).unwrap_or(path.len());
        kept.push_str(before);
        let (path, after) = path.split_at(end);
        // URLs, relative paths and fractions stay as they are.
        let begins = !before.ends_with(|c: char| is_of_path(c) || c == ':' || c == '/');
        match path.trim_end_matches('/').rsplit_once('/') {
            Some((folders, last)) if begins && !folders.is_empty() => {
                kept.push_str(ELLIPSIS);
                kept.push_str(last);
            }
            _ => kept.push_str(path),
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || "/._-+@~%".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_left_with_its_last_part_and_all_else_as_it_is() {
        for (text, expected) in [
            ("cannot open /srv/models/a.gguf: gone", "cannot open …/a.gguf: gone"),
            ("at '/home/ada/x y', \"/opt/j/libexec/\"", "at '…/x y', \"…/libexec\""),
            (
                "panicked at /opt/build/src/a-1.0/lib.rs:12:5",
                "panicked at …/lib.rs:12:5",
            ),
            (
                "see https://hf.example/org/name/resolve",
                "see https://hf.example/org/name/resolve",
            ),
            ("org/name has 3/4 of it and/or /v1", "org/name has 3/4 of it and/or /v1"),
            ("/größe/modell.gguf", "…/modell.gguf"),
            ("", ""),
            ("/", "/"),
        ] {
            assert_eq!(without_folders(text), expected);
        }
    }

    #[test]
    fn a_model_is_named_as_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path();
        let text = format!("{}/org/a.gguf is damaged", models.display());
        assert_eq!(by_name(&text, models), "org/a.gguf is damaged");
        assert_eq!(
            by_name(&text, &models.join("../").join(models.file_name().unwrap())),
            "org/a.gguf is damaged"
        );
        let whole = format!("the models folder {} cannot be read", models.display());
        assert_eq!(by_name(&whole, models), "the models folder cannot be read");
        assert_eq!(by_name("a/b", Path::new("/")), "a/b");
    }
}
