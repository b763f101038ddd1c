//! Estimates of the width of texts, without their font. Positions leave room for the larger text of a narrow screen.

/// Height of a text on a narrow screen, in user units; all positions leave room for it.
pub(crate) const SIZE: f64 = 19.0;
/// Distance of two lines of text.
pub(crate) const LINE: f64 = 23.0;

/// Returns the estimated width of a text in user units, which is rather too large than too small.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(advance).sum::<f64>() * SIZE
}

/// Returns the estimated width of a character as a multiple of the text height.
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

/// Returns the text, cut with an ellipsis where it is wider than `room`.
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

/// Returns the text in at most two lines that fit into `room`, broken between words where possible.
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

/// Returns the centre of a text of this width that is nearest to the wanted one and keeps the text between two limits.
pub(crate) fn centred(wanted: f64, width: f64, (left, right): (f64, f64)) -> f64 {
    wanted.min(right - width / 2.0).max(left + width / 2.0)
}
