//! Whether a customer wants what is named, rejects it, or just got it.
//!
//! The nearest cue before a name in its clause decides, then one right behind it. `not L but XL`, `要天丝不要纯棉`,
//! `XL的给我发成M的了`, `came in black but I ordered pink`.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::ner::stands_alone;

/// From what cannot be meant to what surely is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stance {
    Rejected,
    /// What arrived, where something else was named too.
    Came,
    Neutral,
    Wanted,
    /// What it shall be exchanged for.
    Target,
}

/// Cues before a name.
const BEFORE: &[(Stance, &[&str])] = &[
    (
        Stance::Rejected,
        &[
            "不要",
            "不是",
            "不想要",
            "不需要",
            "别给我",
            "别发",
            "别拿",
            "而非",
            "不喜欢",
            "除了",
            "没要",
            "并非",
            "没买",
            "没订",
            "没拍",
            "not",
            "not the",
            "isn't",
            "isnt",
            "wasn't",
            "don't want",
            "dont want",
            "do not want",
            "other than",
            "except",
            "except the",
            "rather than",
            "instead of",
            "didn't order",
            "didnt order",
            "never ordered",
            "aren't",
            "arent",
            "nope not",
            "anything but",
        ],
    ),
    (
        Stance::Came,
        &[
            "发成",
            "发的是",
            "发来",
            "寄来",
            "寄成",
            "寄的是",
            "收到",
            "来的是",
            "来的却",
            "到的是",
            "到手",
            "送来",
            "送成",
            "拿到",
            "给的是",
            "给我发的",
            "给我寄",
            "发了个",
            "发了件",
            "发了双",
            "错发",
            "变成",
            "怎么是",
            "结果是",
            "却是",
            "却发",
            "里面是",
            "装的是",
            "打开是",
            "拆开是",
            "误发",
            "发了一",
            "来了个",
            "结果来",
            "给成",
            "拿成",
            "got",
            "received",
            "sent me",
            "you sent",
            "they sent",
            "came in",
            "arrived as",
            "came as",
            "delivered",
            "it came",
            "turned up",
            "arrived in",
            "showed up",
            "was sent",
            "were sent",
            "sent",
            "got sent",
            "shipped me",
            "box had",
            "contained",
            "received the",
            "it's a",
            "turned out",
            "is actually",
        ],
    ),
    (
        Stance::Wanted,
        &[
            "我要",
            "想要",
            "要的是",
            "要的",
            "买的是",
            "买的",
            "拍的是",
            "拍的",
            "订的是",
            "订的",
            "下单的是",
            "下单的",
            "下的单",
            "应该是",
            "本来是",
            "原来是",
            "选的是",
            "选的",
            "点的是",
            "只要",
            "就要",
            "要",
            "买了",
            "订了",
            "拍了",
            "下单了",
            "明明是",
            "发个",
            "发一",
            "定的",
            "想买",
            "求",
            "还是要",
            "i want",
            "want",
            "ordered",
            "i ordered",
            "need",
            "should be",
            "should have been",
            "supposed to be",
            "bought",
            "looking for",
            "keep",
            "paid for",
            "picked",
            "chose",
            "order was for",
            "but",
            "meant",
            "just the",
            "only the",
            "the one i want is",
            "after",
        ],
    ),
    (
        Stance::Target,
        &[
            "换成",
            "换一双",
            "换一件",
            "换个",
            "换条",
            "换一条",
            "换为",
            "改成",
            "改为",
            "换到",
            "换",
            "调成",
            "exchange for",
            "exchange it for",
            "exchange them for",
            "swap for",
            "swap it for",
            "swap them for",
            "change to",
            "switch to",
            "change it to",
            "change them to",
            "replace with",
            "go for",
            "changed to",
            "exchange to",
            "exchange into",
        ],
    ),
    // What they have and give away.
    (
        Stance::Neutral,
        &[
            "exchange my",
            "exchange the",
            "swap my",
            "swap the",
            "exchange",
            "swap",
            "change my",
            "change the",
            "有没有",
            "是不是",
            "要不要",
            "有",
            "have",
            "穿",
            "平时穿",
            "usually",
            "wear",
        ],
    ),
];

/// Cues behind a name.
const BEHIND: &[&str] = &["不要", "的不要", "的不行", "的退", "就算了", "的就算了", "is wrong", "isn't what", "is not what"];

static CUES: LazyLock<(AhoCorasick, Vec<Stance>)> = LazyLock::new(|| {
    let (stances, words): (Vec<Stance>, Vec<&str>) = BEFORE.iter().flat_map(|(stance, words)| words.iter().map(|w| (*stance, *w))).unzip();
    let cues = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(words);
    // The words are our own: too many of them, and every test fails.
    (cues.unwrap_or_else(|e| panic!("the cues: {e}")), stances)
});

/// How far a rejection reaches, in characters of the normalised text.
const REACH_HAN: usize = 5;
const REACH_LATIN: usize = 18;
/// How far every other cue reaches.
const REACH: usize = 40;

/// The cues of a text, found once.
pub(crate) struct Cues {
    /// End in bytes, start, stance.
    found: Vec<(usize, usize, Stance)>,
}

impl Cues {
    pub(crate) fn of(text: &str) -> Cues {
        let (cues, stances) = &*CUES;
        let alone = |m: &aho_corasick::Match| stands_alone(text, m.range());
        Cues { found: cues.find_iter(text).filter(alone).map(|m| (m.end(), m.start(), stances[m.pattern().as_usize()])).collect() }
    }

    /// The stance to what stands at `at..end`.
    pub(crate) fn stance(&self, text: &str, at: usize, end: usize) -> Stance {
        let clause = text[..at].rfind([',', ';', '!', '?', '。', '、', '\n', '.']).map_or(0, |p| p + 1);
        let after = text[end..].trim_start();
        let closes = |rest: &str| rest.chars().next().is_none_or(|c| ",.;!?了啦吧哈 ".contains(c));
        if BEHIND.iter().any(|cue| after.strip_prefix(cue).is_some_and(closes)) {
            return Stance::Rejected;
        }
        let Some(&(cue_end, cue_start, stance)) = self.found.iter().rev().find(|c| c.0 <= at && c.1 >= clause) else {
            return Stance::Neutral;
        };
        let between = text[cue_end..at].chars().count();
        let reach = match stance {
            Stance::Rejected if text[cue_start..cue_end].is_ascii() => REACH_LATIN,
            Stance::Rejected => REACH_HAN,
            _ => REACH,
        };
        // `不要黑色的 短款M`: a rejection does not go over a space in Chinese.
        let broken = stance == Stance::Rejected && !text[cue_start..cue_end].is_ascii() && text[cue_end..at].trim_start().contains(' ');
        if between > reach || broken {
            return Stance::Neutral;
        }
        match stance {
            // `received blue instead of grey`, `got L not M`: what did not come is what was wanted.
            Stance::Rejected if self.found.iter().any(|c| c.0 <= cue_start && c.2 == Stance::Came && cue_start - c.0 < 40) => {
                Stance::Wanted
            }
            // `exchange the M for an L`.
            Stance::Neutral
                if text[..at].trim_end().ends_with(" for")
                    || text[..at].ends_with(" for a ")
                    || text[..at].ends_with(" for an ")
                    || text[..at].ends_with(" for the ")
                    || text[..at].ends_with(" to ")
                    || text[..at].ends_with(" into ") =>
            {
                if text[cue_start..].starts_with("exchange")
                    || text[cue_start..].starts_with("swap")
                    || text[cue_start..].starts_with("change")
                {
                    Stance::Target
                } else {
                    Stance::Neutral
                }
            }
            stance => stance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expect: Stance) {
        let at = text.find(name).unwrap();
        assert_eq!(Cues::of(text).stance(text, at, at + name.len()), expect, "{text}: {name}");
    }

    #[test]
    fn the_nearest_cue_decides() {
        check("要天丝不要纯棉", "天丝", Stance::Wanted);
        check("要天丝不要纯棉", "纯棉", Stance::Rejected);
        check("xl的给我发成m的了", "xl", Stance::Neutral);
        check("xl的给我发成m的了", "m的", Stance::Came);
        check("not l but xl", "l ", Stance::Rejected);
        check("not l but xl", "xl", Stance::Wanted);
        check("came in black but i ordered pink", "black", Stance::Came);
        check("came in black but i ordered pink", "pink", Stance::Wanted);
        check("received the blue one instead of grey", "grey", Stance::Wanted);
        check("exchange the m for an l please", "l please", Stance::Target);
        check("m换成l", "l", Stance::Target);
        check("有没有粉色", "粉色", Stance::Neutral);
        check("black is not available?", "black", Stance::Neutral);
    }
}
