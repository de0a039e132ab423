//! Entities of HTML: `&amp;`, `&#29992;`, `&#x4E2D;`, and those that the web writes without their semicolon.

use std::borrow::Cow;

use pulldown_cmark::{Event, Parser};

/// Numbers 128 to 159 mean what they mean in windows-1252.
const OLD_NUMBERS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// The names that old pages write without a semicolon.
const OPEN_NAMES: [(&str, &str); 7] =
    [("nbsp", "\u{a0}"), ("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("copy", "©"), ("reg", "®")];

/// The text that is meant. What is no entity stays as it is.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let (before, mut rest) = text.split_at(first);
    out.push_str(before);
    while !rest.is_empty() {
        let length = entity(rest, &mut out);
        if length == 0 {
            out.push('&');
        }
        let after = &rest[length.max(1)..];
        let (plain, next) = after.split_at(after.find('&').unwrap_or(after.len()));
        out.push_str(plain);
        rest = next;
    }
    Cow::Owned(out)
}

/// Writes the entity that a text begins with, and tells its length; 0 where it begins with none.
fn entity(text: &str, out: &mut String) -> usize {
    let name = &text[1..];
    if let Some(number) = name.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None => (number, 10),
        };
        let length = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
        if length == 0 {
            return 0;
        }
        let value = u32::from_str_radix(&digits[..length], radix).unwrap_or(u32::MAX);
        let old = value.checked_sub(0x80).filter(|&n| n < 32).and_then(|n| OLD_NUMBERS.chars().nth(n as usize));
        out.push(old.or(char::from_u32(value)).filter(|&c| c != '\0').unwrap_or('\u{fffd}'));
        let semicolon = digits[length..].starts_with(';');
        return text.len() - digits.len() + length + usize::from(semicolon);
    }
    // The longest name of the standard has 31 letters.
    let length = name.bytes().take(32).take_while(u8::is_ascii_alphanumeric).count();
    let known = OPEN_NAMES.into_iter().find(|(known, _)| name[..length] == **known);
    let semicolon = name[length..].starts_with(';');
    match known {
        // An address may have a field of that name.
        Some((_, value)) if !name[length..].starts_with('=') => out.push_str(value),
        None if length > 0 && semicolon && named(&text[..length + 2], out) => {}
        _ => return 0,
    }
    1 + length + usize::from(semicolon)
}

/// Markdown has the names of HTML, and its parser has the table.
fn named(entity: &str, out: &mut String) -> bool {
    let mut events = Parser::new(entity).filter_map(|event| match event {
        Event::Text(text) => Some(text),
        _ => None,
    });
    match events.next() {
        Some(text) if !text.starts_with('&') => {
            out.push_str(&text);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_become_what_they_stand_for() {
        for (text, expect) in [
            ("满 &yen;99 包邮", "满 ¥99 包邮"),
            ("&#36864;&#x8D27;&#X8d27", "退货货"),
            ("a&nbsp;b&nbsp价", "a\u{a0}b\u{a0}价"),
            ("R&D &; & &amp;lt;", "R&D &; & &lt;"),
            ("&ldquo;x&rdquo;&hellip;&mdash;", "“x”…—"),
            ("it&#146;s &#0;&#x110000;&#99999999999;", "it’s \u{fffd}\u{fffd}\u{fffd}"),
            ("&unknown; &#; &#x; &", "&unknown; &#; &#x; &"),
            ("?a=1&copy=2&lang=zh", "?a=1&copy=2&lang=zh"),
            ("&&&&", "&&&&"),
        ] {
            assert_eq!(decode(text), expect);
        }
    }
}
