//! Scans of JSON text before it is parsed: for numbers that Python writes and JSON does not allow, and for the number
//! of values, which limits the memory of parsing.

use std::borrow::Cow;

/// Replaces each `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not allow, by `null`. Strings are
/// left unchanged.
pub fn without_nan(text: &[u8]) -> Cow<'_, [u8]> {
    replace_nan(text, |plain, _| plain.extend(b"null"))
}

/// Replaces `NaN`, `Infinity` and `-Infinity` by strings of the same text. A reader that needs the number can
/// distinguish it from `null` and name it in an error.
pub fn with_nan_as_text(text: &[u8]) -> Cow<'_, [u8]> {
    replace_nan(text, |plain, word| {
        plain.push(b'"');
        plain.extend(word);
        plain.push(b'"');
    })
}

/// Replaces the words outside strings by what `write` writes.
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

/// Returns the maximum number of values in the text. A parsed value takes some hundred bytes, however short it is in
/// the text.
pub fn count_values(text: &[u8]) -> usize {
    let begins = outside_of_strings(text).filter(|(_, byte)| matches!(byte, b',' | b'[' | b'{'));
    1 + begins.count()
}

/// Returns the bytes outside strings, each with its position.
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
