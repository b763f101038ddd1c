/// Returns at most the first 160 characters of a text, because a name in a file may be very long.
pub(super) fn shortened(text: &str) -> String {
    const MAX_LETTERS: usize = 160;
    match text.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
