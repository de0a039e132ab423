//! Which of the two languages a message is in.

use super::normalize::is_han;
use crate::domain::Lang;

/// The language of a text, or `None` where it holds neither Chinese characters nor Latin letters.
///
/// A Chinese character carries about as much as two thirds of an English word, so mixed messages go to the language that
/// says more: `我的order怎么还没ship` is Chinese, `please refund 羽绒服` is English.
pub fn detect(text: &str) -> Option<Lang> {
    let (mut han, mut words, mut in_word) = (0usize, 0usize, false);
    for c in text.chars() {
        if is_han(c) {
            han += 1;
        }
        let letter = c.is_alphabetic() && !is_han(c);
        words += usize::from(letter && !in_word);
        in_word = letter;
    }
    match (han, words) {
        (0, 0) => None,
        _ if 2 * han > 3 * words => Some(Lang::Zh),
        _ => Some(Lang::En),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_says_more_wins() {
        for (text, lang) in [
            ("还没发货?", Some(Lang::Zh)),
            ("where is my parcel", Some(Lang::En)),
            ("我的order怎么还没ship", Some(Lang::Zh)),
            ("please refund 羽绒服", Some(Lang::En)),
            ("iPhone 15 Pro 手机壳有货吗", Some(Lang::Zh)),
            ("???", None),
            ("12345 😀", None),
        ] {
            assert_eq!(detect(text), lang, "{text}");
        }
    }
}
