use std::fmt::{self, Write as _};

/// Maximum number of characters shown; every accepted name is shorter.
const MAX_CHARS: usize = 500;

/// Text from outside the program, displayed in quotes and made safe for a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

/// Wraps a text for display in quotes, without escaping letters. Control characters and invisible characters are
/// replaced by U+FFFD, and a text of more than 500 characters is cut.
pub fn quoted<T: AsRef<str> + ?Sized>(text: &T) -> Quoted<'_> {
    Quoted(text.as_ref())
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        for c in self.0.chars().take(MAX_CHARS) {
            formatter.write_char(if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c })?;
        }
        let is_cut = self.0.chars().nth(MAX_CHARS).is_some();
        formatter.write_str(if is_cut { "…\"" } else { "\"" })
    }
}

/// Returns whether a character is a control character, or an invisible one that reorders or joins the text around it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_text_is_shown_as_it_was_written() {
        for text in ["", "abc", "größe ½", "C:\\models", "e\u{301}", "🙂", "it's"] {
            assert_eq!(quoted(text).to_string(), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_moves_a_cursor_or_hides_is_replaced_and_a_long_text_is_cut() {
        assert_eq!(
            quoted("a\u{1b}[2J\n\u{202e}b").to_string(),
            "\"a\u{fffd}[2J\u{fffd}\u{fffd}b\""
        );
        let long = quoted(&"x".repeat(10_000)).to_string();
        assert!(long.ends_with("x…\"") && long.chars().count() < 600);
    }
}
