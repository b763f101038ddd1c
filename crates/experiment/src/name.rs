//! Checks of names of people and of labels. A name consists of visible characters in one normal form, so that no two
//! accepted names look alike because of hidden characters. Letters of different scripts that look alike remain
//! different.

use std::ops::RangeInclusive;

use thiserror::Error;
use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory as _};

use super::field::{Fields, brief};

/// Maximum number of characters of a name.
pub const MAX_NAME_CHARS: usize = 100;

/// Characters that are invisible although their category is that of letters, marks or symbols: joiners, fillers,
/// unwritten vowels, variation selectors, the empty Braille cell, the empty note head. `Default_Ignorable_Code_Point`
/// of <https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>, and blank symbols.
const BLANK: [RangeInclusive<char>; 12] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180d}',
    '\u{180f}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{16fe4}'..='\u{16fe4}',
    '\u{1d159}'..='\u{1d159}',
    '\u{e0100}'..='\u{e01ef}',
];

/// A problem of a name; its text states what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadName {
    #[error("has {0} characters; accepted are 1 to {MAX_NAME_CHARS}")]
    Length(usize),
    #[error("begins or ends with a space or has two in a row; accepted are single spaces between words")]
    Spaces,
    #[error(
        "has U+{code:04X} as character {place}, which is invisible or looks like another one; accepted are letters, marks, \
         digits, punctuation, symbols and plain spaces"
    )]
    Character { place: usize, code: u32 },
    #[error(
        "begins with a combining mark, which needs a character before it; accepted is a name that begins with another character"
    )]
    Mark,
    #[error("has a letter and its mark as separate characters; accepted is Unicode's composed form (NFC)")]
    Decomposed,
}

/// Checks a person's name: 1 to 100 visible characters, single spaces, Unicode's composed form.
///
/// # Errors
/// Returns the first problem as a [`BadName`].
pub fn check_name(name: &str) -> Result<(), BadName> {
    let length = name.chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&length) {
        return Err(BadName::Length(length));
    }
    check_characters(name)?;
    if name.starts_with(' ') || name.ends_with(' ') || name.contains("  ") {
        return Err(BadName::Spaces);
    }
    let begins_with_mark = name.chars().next().is_some_and(|first| {
        let category = first.general_category();
        matches!(
            category,
            Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark
        )
    });
    if begins_with_mark {
        return Err(BadName::Mark);
    }
    if is_nfc(name) { Ok(()) } else { Err(BadName::Decomposed) }
}

/// Checks that each character is visible: no control or format character, no space except U+0020, and neither
/// unassigned nor private.
///
/// # Errors
/// Returns [`BadName::Character`] for the first other character.
pub fn check_characters(text: &str) -> Result<(), BadName> {
    let hidden = text.chars().enumerate().find(|(_, character)| !is_seen(*character));
    hidden.map_or(Ok(()), |(index, character)| {
        Err(BadName::Character {
            place: index + 1,
            code: u32::from(character),
        })
    })
}

/// Returns whether a character is visible, or a plain space.
fn is_seen(character: char) -> bool {
    match character.general_category() {
        Category::Control
        | Category::Format
        | Category::Surrogate
        | Category::PrivateUse
        | Category::Unassigned
        | Category::LineSeparator
        | Category::ParagraphSeparator => false,
        Category::SpaceSeparator => character == ' ',
        _ => !BLANK.iter().any(|blank| blank.contains(&character)),
    }
}

/// Reads the field of a submission that contains a person's name.
pub fn read_name(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    let value = fields.value(key)?;
    let problem = match value.as_str() {
        None => format!(
            "is {}; accepted is a text of 1 to {MAX_NAME_CHARS} characters",
            brief(value)
        ),
        Some(name) => match check_name(name) {
            Ok(()) => return Some(name.to_owned()),
            Err(bad) => bad.to_string(),
        },
    };
    fields.problem(key, problem);
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_short_plain_and_trimmed() {
        let long = "é".repeat(100);
        for good in [
            "Ada Lovelace",
            "ada",
            &long,
            "Ольга",
            "李 小龍",
            "محمد",
            "O'Neil-Smith (lab 3)",
            "a@b.example",
            "नमिता",
        ] {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
        for bad in ["", " ada", "ada ", "ada\n", "a\tb", "a  b", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_looks_like_another_is_refused_and_the_character_is_named() {
        for hidden in [
            // Zero width, bidirectional, soft hyphen, tags, invisible operators, a byte order mark.
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{200e}",
            "\u{200f}",
            "\u{202a}",
            "\u{202e}",
            "\u{2066}",
            "\u{2069}",
            "\u{61c}",
            "\u{ad}",
            "\u{180e}",
            "\u{e0041}",
            "\u{2063}",
            "\u{fff9}",
            "\u{206a}",
            // Spaces of other kinds, and ends of lines.
            "\u{a0}",
            "\u{2007}",
            "\u{2009}",
            "\u{202f}",
            "\u{3000}",
            "\u{1680}",
            "\u{205f}",
            "\u{2028}",
            "\u{2029}",
            "\u{85}",
            // Letters, marks and symbols that show nothing.
            "\u{34f}",
            "\u{115f}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{2800}",
            "\u{17b4}",
            "\u{180b}",
            // Control, private, not assigned, no character.
            "\0",
            "\u{1b}",
            "\u{7f}",
            "\u{9f}",
            "\u{e000}",
            "\u{f8ff}",
            "\u{10fffd}",
            "\u{378}",
            "\u{fffe}",
            "\u{10ffff}",
        ] {
            for name in [format!("ad{hidden}a"), format!("{hidden}ada"), format!("ada{hidden}")] {
                let bad = check_name(&name).unwrap_err();
                let code = format!("U+{:04X}", u32::from(hidden.chars().next().unwrap()));
                assert!(bad.to_string().contains(&code), "{name:?}: {bad}");
            }
        }
        assert_eq!(check_name("Jose\u{301}"), Err(BadName::Decomposed));
        assert_eq!(check_name("\u{301}ada"), Err(BadName::Mark));
        assert_eq!(check_name("José"), Ok(()));
    }

    proptest! {
        /// Removing invisible characters does not change an accepted name.
        #[test]
        fn an_accepted_name_hides_nothing(name in "\\PC{0,12}[ -~\\u{80}-\\u{2ff}\\u{2000}-\\u{2070}]{0,6}") {
            if check_name(&name).is_ok() {
                let seen: String = name.chars().filter(|character| !character.is_control() && (!character.is_whitespace() || *character == ' ')).collect();
                prop_assert_eq!(&seen, &name);
                prop_assert!(!name.is_empty() && name.trim() == name && is_nfc(&name));
            }
        }
    }
}
