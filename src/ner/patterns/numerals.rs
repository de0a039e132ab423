//! Numbers as customers write them: `39.9`, `1,299`, `三十`, `两百五`, `十几`.

/// A regular expression for one number: digits with thousands and decimals, or Chinese numerals.
pub(super) const NUMBER: &str = r"(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|[零一二两三四五六七八九十百千万几]+)";

/// The value of a number, `None` where it is vague (`几十`), too large or not one at all.
pub(in crate::ner) fn parse(text: &str) -> Option<f64> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let plain: String = text.chars().filter(|&c| c != ',').collect();
        return plain.parse().ok().filter(|&n: &f64| n < 1e9);
    }
    parse_chinese(text).map(f64::from)
}

/// A whole number that is small enough for a part of a date.
pub(super) fn parse_small(text: &str) -> Option<u32> {
    parse(text).filter(|n| n.fract() == 0.0 && *n < 10_000.0).map(|n| n as u32)
}

fn parse_chinese(text: &str) -> Option<u32> {
    let (mut total, mut section, mut digit, mut unit) = (0u32, 0u32, None::<u32>, 1u32);
    for c in text.chars() {
        if let Some(value) = chinese_digit(c) {
            if digit.is_some() {
                // Digits one after the other are a number or a year read aloud: not a quantity.
                return None;
            }
            digit = Some(value);
            continue;
        }
        let scale = match c {
            '十' => 10,
            '百' => 100,
            '千' => 1_000,
            '万' => 10_000,
            '零' => {
                unit = 1;
                continue;
            }
            _ => return None,
        };
        if scale == 10_000 {
            total = (section + digit.take()?).checked_mul(scale)?;
            section = 0;
        } else {
            // `十五` begins without a digit.
            let first = if section == 0 && scale == 10 { 1 } else { 0 };
            section = section.checked_add(digit.take().unwrap_or(first).checked_mul(scale)?)?;
        }
        unit = scale;
    }
    // `两百五` is 250: the last digit counts in tenths of the unit before it.
    let tail = digit.map_or(0, |d| if unit >= 100 { d * (unit / 10) } else { d });
    total.checked_add(section)?.checked_add(tail).filter(|_| !text.is_empty())
}

fn chinese_digit(c: char) -> Option<u32> {
    match c {
        '两' => Some(2),
        _ => "一二三四五六七八九".chars().position(|d| d == c).map(|at| at as u32 + 1),
    }
}

/// A number without needless zeros: `250`, `1.5`.
pub(super) fn plain(n: f64) -> String {
    let rounded = (n * 1000.0).round() / 1000.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_scripts_are_read() {
        for (text, value) in [
            ("39.9", 39.9),
            ("1,299.00", 1299.0),
            ("三十", 30.0),
            ("十五", 15.0),
            ("二十一", 21.0),
            ("两百", 200.0),
            ("两百五", 250.0),
            ("一百零五", 105.0),
            ("一千二", 1200.0),
            ("三万", 30_000.0),
            ("一百二十三", 123.0),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_vague_or_no_number_has_no_value() {
        for text in ["几", "几十", "", "二零二六", "万", "99999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
