//! Text for Telegram: markup made harmless, long messages cut where a reader would.

/// Longest message in UTF-16 units, as Telegram counts them.
pub const MESSAGE_UNITS_MAX: usize = 4096;

/// Makes text safe inside Telegram's HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Pieces of at most `units_max` UTF-16 units: whole lines, unless a line alone is too long.
/// Nothing is lost but line ends at the cuts.
#[must_use]
pub fn split(text: &str, units_max: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut units = 0;
    for line in text.split('\n') {
        let line_units = line.encode_utf16().count();
        if !piece.is_empty() && units + 1 + line_units > units_max {
            pieces.push(std::mem::take(&mut piece));
            units = 0;
        }
        if !piece.is_empty() || units > 0 {
            piece.push('\n');
            units += 1;
        }
        for letter in line.chars() {
            if units + letter.len_utf16() > units_max {
                pieces.push(std::mem::take(&mut piece));
                units = 0;
            }
            piece.push(letter);
            units += letter.len_utf16();
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn long_texts_are_cut_between_lines_and_nothing_is_lost() {
        let text: String = (0..2000).map(|i| format!("line {i} €😀\n")).collect();
        let pieces = split(&text, MESSAGE_UNITS_MAX);
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| piece.encode_utf16().count() <= MESSAGE_UNITS_MAX));
        assert_eq!(pieces.join("\n").trim_end(), text.trim_end());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_inside() {
        let text = "😀".repeat(5000);
        let pieces = split(&text, MESSAGE_UNITS_MAX);
        assert!(pieces.iter().all(|piece| piece.encode_utf16().count() <= MESSAGE_UNITS_MAX));
        assert_eq!(pieces.concat(), text);
        assert!(split("\n\n", 10).is_empty());
    }
}
