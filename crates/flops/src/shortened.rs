/// Returns the text, or its beginning where it is too long for a sentence: a name in a file may be pages long.
pub(super) fn shortened(text: &str) -> String {
    const MAX_LETTERS: usize = 160;
    match text.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
