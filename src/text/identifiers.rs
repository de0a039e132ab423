//! Strings that identify something: addresses of pages and mailboxes, phones, order and tracking numbers.
//!
//! The classifier sees their kind only (which order it is says nothing about the intent), the entities show them.

use std::sync::LazyLock;

use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifierKind {
    Url,
    Email,
    Phone,
    OrderId,
    TrackingNo,
}

/// An identifier found in a normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    pub kind: IdentifierKind,
    /// Byte range in the normalised text.
    pub start: usize,
    pub end: usize,
}

struct Pattern {
    kind: IdentifierKind,
    /// What is named `id` is the identifier, the whole match where nothing is.
    regex: Regex,
}

/// Word borders are ASCII ones: a Chinese character next to a digit ends a number.
///
/// In order of precedence: what an earlier pattern has taken, a later one cannot have.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    use IdentifierKind::*;
    [
        (Url, r"(?:https?://|www\.)[^\s,，。;；<>一-龥]+"),
        (Email, r"[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)+"),
        // Named by the customer: a tracking number may have any carrier's form.
        (TrackingNo, r"(?:运单号?|快递单号?|物流单号?|快递号|tracking(?: (?:no|number|num|id|code))?|waybill(?: no| number)?)[是为:#. ]{0,4}(?P<id>[a-z]{0,4}[0-9][0-9a-z]{7,21})(?-u:\b)"),
        (OrderId, r"(?:订单编?号?|单号|order(?: ?(?:no|number|num|id))?)[是为:#. ]{0,4}(?:is )?#?(?P<id>[a-z]{0,4}-?[0-9][0-9-]{3,22}[0-9])(?-u:\b)"),
        // Carriers' own forms: SF Express, YTO, STO, Yunda, JD, ZTO, UPS, postal services (S10).
        (TrackingNo, r"(?-u:\b)(?P<id>sf[0-9]{12,15}|(?:yt|jt|zt|dpk|jd[a-z]{0,2}|kk|cn)[0-9]{10,15}|1z[0-9a-z]{16}|[a-z]{2}[0-9]{9}[a-z]{2}|7[3578][0-9]{12}|4[36][0-9]{11})(?-u:\b)"),
        (Phone, r"(?:\+?86[- ]?)?(?-u:\b)(?P<id>1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4})(?-u:\b)"),
        (Phone, r"(?-u:\b)(?P<id>[48]00-?[0-9]{3}-?[0-9]{4}|0[1-9][0-9]{1,2}-[0-9]{7,8})(?-u:\b)"),
        (Phone, r"(?P<id>\+[1-9][0-9]{0,2}[- ]?\(?[0-9]{1,4}\)?(?:[- ]?[0-9]{2,4}){2,4})(?-u:\b)"),
        (Phone, r"(?P<id>\(?(?-u:\b)[2-9][0-9]{2}\)?[- .][0-9]{3}[- .][0-9]{4})(?-u:\b)"),
        (OrderId, r"(?-u:\b)(?P<id>(?:lz|dd|no|so|po)[0-9]{6,20}|[0-9]{12,22})(?-u:\b)"),
        (OrderId, r"#(?P<id>[a-z]{0,3}-?[0-9]{4,20})(?-u:\b)"),
    ]
    .into_iter()
    .map(|(kind, pattern)| Pattern { kind, regex: Regex::new(pattern).expect("a pattern of this table compiles: a test compiles them all") })
    .collect()
});

/// All identifiers of a normalised text, in order, none overlapping.
pub fn find_identifiers(normalized: &str) -> Vec<Identifier> {
    let mut found: Vec<Identifier> = Vec::new();
    // None of the patterns matches a text without one of these, and most messages have none.
    if !normalized.bytes().any(|b| b.is_ascii_digit() || b == b'@') && !normalized.contains("www.") && !normalized.contains("://") {
        return found;
    }
    for pattern in PATTERNS.iter() {
        for captures in pattern.regex.captures_iter(normalized) {
            let Some(m) = captures.name("id").or_else(|| captures.get(0)) else { continue };
            if found.iter().all(|f| m.end() <= f.start || f.end <= m.start()) {
                found.push(Identifier { kind: pattern.kind, start: m.start(), end: m.end() });
            }
        }
    }
    found.sort_by_key(|f| f.start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use IdentifierKind::*;

    #[track_caller]
    fn check(text: &str, expect: &[(IdentifierKind, &str)]) {
        let text = crate::text::normalize(text).text;
        let found: Vec<_> = find_identifiers(&text).into_iter().map(|i| (i.kind, &text[i.start..i.end])).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn identifiers_of_both_languages_are_found() {
        check("订单号2026110512345678怎么还没发", &[(OrderId, "2026110512345678")]);
        check("我电话13812345678,麻烦改成138-8765-4321", &[(Phone, "13812345678"), (Phone, "138-8765-4321")]);
        check("SF1234567890123 三天没动", &[(TrackingNo, "sf1234567890123")]);
        check("快递单号:773012345678901到哪了", &[(TrackingNo, "773012345678901")]);
        check("order #LZ-10023 hasn't arrived", &[(OrderId, "lz-10023")]);
        check("My order number is 88412007, email bob.lee@example.co.uk", &[(OrderId, "88412007"), (Email, "bob.lee@example.co.uk")]);
        check("see https://example.com/a?b=1 please", &[(Url, "https://example.com/a?b=1")]);
        check("call me at +44 20 7946 0958", &[(Phone, "+44 20 7946 0958")]);
        check("LZ7710293 and ORDER 11872", &[(OrderId, "lz7710293"), (OrderId, "11872")]);
        check("RR123456789CN stuck", &[(TrackingNo, "rr123456789cn")]);
    }

    #[test]
    fn plain_numbers_are_not_identifiers() {
        check("买了3件,一共299元,250ml的", &[]);
        check("身高175体重140斤穿什么码", &[]);
        check("iphone 15 pro 128gb", &[]);
        check("i bought 2 on 2026-11-05", &[]);
    }
}
