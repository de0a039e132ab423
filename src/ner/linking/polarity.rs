//! Whether a customer wants what is named, rejects it, or just got it.
//!
//! The nearest cue before a name in its clause decides, then one right behind it. `not L but XL`, `要天丝不要纯棉`,
//! `XL的给我发成M的了`, `came in black but I ordered pink`.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::words::Words;
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

static CUES: LazyLock<(AhoCorasick, Vec<Stance>)> = LazyLock::new(|| {
    let cues = &Words::shipped().cues;
    let stances = [
        (Stance::Rejected, &cues.rejected),
        (Stance::Came, &cues.came),
        (Stance::Wanted, &cues.wanted),
        (Stance::Target, &cues.target),
        (Stance::Neutral, &cues.neutral),
    ];
    let (stances, words): (Vec<Stance>, Vec<&str>) =
        stances.into_iter().flat_map(|(s, words)| words.iter().map(move |w| (s, w.as_str()))).unzip();
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
        let closes = |rest: &str| rest.chars().next().is_none_or(|c| ",.;!?了啦吧哈 ".contains(c) || c.is_ascii_digit());
        if Words::shipped()
            .cues
            .behind
            .iter()
            .any(|cue| after.strip_prefix(cue.as_str()).is_some_and(|rest| cue.ends_with('了') || closes(rest)))
        {
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
