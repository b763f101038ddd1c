//! How wide a text is, estimated without its font. Every place is kept for the larger text of a narrow screen.

/// The height of a text on a narrow screen in user units, for which every place is kept.
pub(crate) const SIZE: f64 = 19.0;
/// The distance of two lines of text.
pub(crate) const LINE: f64 = 23.0;

/// Returns the estimated width of a text in user units, rather too wide than too narrow.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(advance).sum::<f64>() * SIZE
}

/// Returns the estimated width of a character in heights of the text.
fn advance(character: char) -> f64 {
    match character {
        '\u{202f}' | 'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | '[' | ']' | ' '
        | 'f' | 't' | 'r' | '/' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 0.9,
        'A'..='Z' | '&' | '+' | '=' | '<' | '>' | '±' | '×' => 0.68,
        '\u{300}'..='\u{36f}' => 0.0,
        '\u{0}'..='\u{2fff}' => 0.57,
        _ => 1.05,
    }
}

/// Returns the text, cut with an ellipsis where it is wider than the room.
pub(crate) fn fit(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut taken = width("…");
    let kept = text.chars().take_while(|&character| {
        taken += advance(character) * SIZE;
        taken <= room
    });
    let kept: String = kept.collect();
    format!("{}…", kept.trim_end())
}

/// Returns the text in at most two lines that fit the room, broken between words where it can be.
pub(crate) fn wrap(text: &str, room: f64) -> Vec<String> {
    if width(text) <= room {
        return vec![text.to_owned()];
    }
    let breaks = text.match_indices(' ').map(|(index, _)| index);
    match breaks.take_while(|&index| width(&text[..index]) <= room).last() {
        Some(index) => vec![text[..index].to_owned(), fit(&text[index + 1..], room)],
        None => vec![fit(text, room)],
    }
}

/// Returns where a text of a width is centred so that it stays between two limits: as near to the wanted place as it goes.
pub(crate) fn centred(wanted: f64, width: f64, (left, right): (f64, f64)) -> f64 {
    wanted.min(right - width / 2.0).max(left + width / 2.0)
}
