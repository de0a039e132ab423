//! Words of a normalised text: jieba for Chinese, runs of letters and digits for the rest.

use std::sync::LazyLock;

use jieba_rs::Jieba;

use super::normalize::is_han;

static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

/// Loads the dictionary now (about 0.1 s) and not at the first message.
pub fn warm_up() {
    LazyLock::force(&JIEBA);
}

/// Calls `f` with each run of one kind: Chinese characters (`true`), or letters and digits (`false`). Marks and spaces end a run.
pub(super) fn runs<'a>(text: &'a str, mut f: impl FnMut(&'a str, bool)) {
    let mut start = 0;
    let mut kind = None;
    for (at, c) in text.char_indices() {
        let now = if is_han(c) {
            Some(true)
        } else if c.is_alphanumeric() || (c == '\'' && kind == Some(false)) {
            Some(false)
        } else {
            None
        };
        if now != kind {
            if let Some(han) = kind {
                f(&text[start..at], han);
            }
            start = at;
            kind = now;
        }
    }
    if let Some(han) = kind {
        f(&text[start..], han);
    }
}

/// The words of a normalised text in order, without marks and spaces.
pub fn words(normalized: &str) -> Vec<&str> {
    let mut out = Vec::new();
    runs(normalized, |run, han| {
        if han {
            cut(run, &mut out);
        } else {
            out.push(run);
        }
    });
    out
}

pub(super) fn cut<'a>(run: &'a str, out: &mut Vec<&'a str>) {
    // The hidden Markov model guesses at unknown words; character n-grams cover those more steadily.
    out.extend(JIEBA.cut(run, false).into_iter().map(|token| token.word));
}

/// Terms for lexical search: words, and for Chinese also pairs of characters, so that two segmentations of one phrase meet.
///
/// Terms of one letter or digit and the commonest function words are left out.
pub fn search_terms(normalized: &str) -> Vec<String> {
    let mut terms = Vec::new();
    runs(normalized, |run, han| {
        if han {
            let mut cut_words = Vec::new();
            cut(run, &mut cut_words);
            terms.extend(cut_words.into_iter().filter(|w| !STOP_ZH.contains(w)).map(str::to_owned));
            let chars: Vec<char> = run.chars().collect();
            terms.extend(chars.windows(2).map(|pair| pair.iter().collect()));
        } else if run.len() > 1 && !STOP_EN.contains(&run) {
            terms.push(stem(run).to_owned());
        }
    });
    terms
}

/// Plural and possessive endings off: enough for `parcels` to meet `parcel`, without a dictionary.
fn stem(word: &str) -> &str {
    let word = word.strip_suffix("'s").unwrap_or(word);
    match word.strip_suffix('s') {
        Some(rest) if rest.len() > 2 && !rest.ends_with(['s', 'u', 'i']) => rest,
        _ => word,
    }
}

const STOP_ZH: [&str; 22] = [
    "的", "了", "是", "我", "你", "你们", "我们", "在", "就", "都", "也", "吗", "呢", "吧", "啊", "和", "这", "那", "个", "有", "给", "请",
];
const STOP_EN: [&str; 40] = [
    "the", "is", "to", "my", "it", "and", "of", "in", "for", "on", "me", "you", "your", "that", "this", "was", "be", "have", "has", "can",
    "do", "does", "are", "with", "at", "please", "hi", "hello", "an", "so", "but", "if", "or", "as", "would", "could", "there", "will",
    "just", "i'm",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_mixed_text() {
        assert_eq!(words("我的order还没发货,why?"), ["我", "的", "order", "还", "没", "发货", "why"]);
        assert!(words("?!。 ").is_empty());
    }

    #[test]
    fn search_terms_hold_words_and_pairs() {
        let terms = search_terms("羽绒服 jackets");
        assert!(terms.contains(&"羽绒服".to_owned()) && terms.contains(&"绒服".to_owned()) && terms.contains(&"jacket".to_owned()));
    }
}
