//! Looks through JSON text before it is parsed: for what Python writes and JSON does not have, and for how much memory
//! its values would take.

use std::borrow::Cow;

/// Returns the text with `null` for each `NaN`, `Infinity` and `-Infinity`, which Python's json writes for numbers that
/// JSON does not have. What stands in strings stays as it is.
pub fn without_nan(text: &[u8]) -> Cow<'_, [u8]> {
    replace_nan(text, |plain, _| plain.extend(b"null"))
}

/// Returns the text with `"NaN"`, `"Infinity"` and `"-Infinity"` for what Python's json writes without the quotes. So
/// who needs the number can tell it from a `null`, and say what it is.
pub fn with_nan_as_text(text: &[u8]) -> Cow<'_, [u8]> {
    replace_nan(text, |plain, word| {
        plain.push(b'"');
        plain.extend(word);
        plain.push(b'"');
    })
}

fn replace_nan(text: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut plain: Option<Vec<u8>> = None;
    let mut copied = 0;
    for (position, byte) in outside_of_strings(text) {
        if !matches!(byte, b'-' | b'I' | b'N') || position < copied {
            continue;
        }
        if let Some(word) = WORDS.iter().find(|word| text[position..].starts_with(word)) {
            let plain = plain.get_or_insert_default();
            plain.extend(&text[copied..position]);
            write(plain, word);
            copied = position + word.len();
        }
    }
    match plain {
        None => Cow::Borrowed(text),
        Some(mut plain) => {
            plain.extend(&text[copied..]);
            Cow::Owned(plain)
        }
    }
}

/// Returns how many values the text has at the most. Parsed into a tree, each takes some hundred bytes, however few it
/// has in the text.
pub fn count_values(text: &[u8]) -> usize {
    let begins = outside_of_strings(text).filter(|(_, byte)| matches!(byte, b',' | b'[' | b'{'));
    1 + begins.count()
}

/// Returns the bytes that stand in no string, each with its position.
fn outside_of_strings(text: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let (mut in_string, mut is_escaped) = (false, false);
    text.iter().copied().enumerate().filter(move |(_, byte)| {
        let was_in_string = in_string;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
        !was_in_string
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::{Value, json};

    use super::{count_values, with_nan_as_text, without_nan};

    #[test]
    fn what_python_writes_for_no_number_is_null() {
        let text = br#"{"a": NaN, "b": [0.0, Infinity, -Infinity], "c": "NaN \" Infinity\\", "NaN": -1}"#;
        let expected = json!({"a": null, "b": [0.0, null, null], "c": "NaN \" Infinity\\", "NaN": -1});
        assert_eq!(serde_json::from_slice::<Value>(&without_nan(text)).unwrap(), expected);
        let expected = json!({"a": "NaN", "b": [0.0, "Infinity", "-Infinity"], "c": "NaN \" Infinity\\", "NaN": -1});
        assert_eq!(
            serde_json::from_slice::<Value>(&with_nan_as_text(text)).unwrap(),
            expected
        );
        assert!(matches!(without_nan(b"{\"a\": -1}"), Cow::Borrowed(_)));
        for broken in ["{\"a\": Nan}", "[1,]", "\"NaN", "{} NaN"] {
            let plain = without_nan(broken.as_bytes());
            assert!(serde_json::from_slice::<Value>(&plain).is_err(), "{broken}");
        }
    }

    #[test]
    fn values_are_counted_without_their_tree() {
        for (text, values) in [("1", 1), ("[1, 2]", 3), (r#"{"a, [": [{}]}"#, 4), ("[[0],[0]]", 6)] {
            assert!(count_values(text.as_bytes()) >= values - 1, "{text}");
        }
        assert_eq!(count_values(br#"",,,,[[[""#), 1);
    }
}
