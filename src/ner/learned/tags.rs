//! Tags of units: outside, or begin, inside, end, single of a type.

use std::ops::Range;

/// Places of a unit in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Begin,
    Inside,
    End,
    Single,
}

impl Place {
    /// Of the unit `at` in a span of units.
    pub fn of(at: usize, span: &Range<usize>) -> Self {
        match (at == span.start, at + 1 == span.end) {
            (true, true) => Place::Single,
            (true, false) => Place::Begin,
            (false, true) => Place::End,
            (false, false) => Place::Inside,
        }
    }
}

/// The tag outside of all spans.
pub const OUTSIDE: usize = 0;

/// How many tags so many types have.
pub fn count(types: usize) -> usize {
    1 + 4 * types
}

pub fn tag(kind: usize, place: Place) -> usize {
    1 + 4 * kind + place as usize
}

/// Type and place of a tag; `None` outside.
pub fn parts(tag: usize) -> Option<(usize, Place)> {
    let at = tag.checked_sub(1)?;
    Some((at / 4, [Place::Begin, Place::Inside, Place::End, Place::Single][at % 4]))
}

/// Whether a span is open after a tag.
fn opens(tag: usize) -> Option<usize> {
    parts(tag).filter(|(_, place)| matches!(place, Place::Begin | Place::Inside)).map(|(kind, _)| kind)
}

/// Whether a tag goes on with an open span.
fn continues(tag: usize) -> Option<usize> {
    parts(tag).filter(|(_, place)| matches!(place, Place::Inside | Place::End)).map(|(kind, _)| kind)
}

/// Whether one tag may follow another.
pub fn may_follow(before: usize, after: usize) -> bool {
    opens(before) == continues(after)
}

pub fn may_start(tag: usize) -> bool {
    continues(tag).is_none()
}

pub fn may_end(tag: usize) -> bool {
    opens(tag).is_none()
}

/// A span of units with its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    pub units: Range<usize>,
    /// Number of the type.
    pub kind: usize,
}

/// The tags of a text of `units` units; of spans that overlap the first stays.
pub fn tags_of(spans: &[Span], units: usize) -> Vec<usize> {
    let mut tags = vec![OUTSIDE; units];
    for span in spans {
        if tags[span.units.clone()].iter().all(|&t| t == OUTSIDE) {
            span.units.clone().for_each(|at| tags[at] = tag(span.kind, Place::of(at, &span.units)));
        }
    }
    tags
}

/// The spans of a sequence of tags in which each may follow the one before.
pub fn spans_of(tags: &[usize]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (at, &tag) in tags.iter().enumerate() {
        match parts(tag) {
            Some((_, Place::Begin)) => start = at,
            Some((kind, Place::End)) => spans.push(Span { units: start..at + 1, kind }),
            Some((kind, Place::Single)) => spans.push(Span { units: at..at + 1, kind }),
            _ => {}
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_become_tags_and_back() {
        let spans = [Span { units: 0..1, kind: 1 }, Span { units: 2..5, kind: 0 }, Span { units: 5..7, kind: 0 }];
        let tags = tags_of(&spans, 8);
        assert_eq!(spans_of(&tags), spans);
        assert!(may_start(tags[0]) && may_end(tags[7]) && tags.windows(2).all(|w| may_follow(w[0], w[1])));
        let overlapping = tags_of(&[Span { units: 0..2, kind: 0 }, Span { units: 1..3, kind: 1 }], 3);
        assert_eq!(spans_of(&overlapping), [Span { units: 0..2, kind: 0 }]);
    }

    #[test]
    fn a_span_ends_as_what_it_began() {
        let [b, i, e, s] = [Place::Begin, Place::Inside, Place::End, Place::Single].map(|p| tag(1, p));
        assert!(may_follow(b, i) && may_follow(b, e) && may_follow(e, b) && may_follow(s, OUTSIDE));
        assert!(!may_follow(b, OUTSIDE) && !may_follow(OUTSIDE, e) && !may_follow(b, tag(0, Place::End)) && !may_follow(i, s));
        assert!(!may_start(i) && !may_end(b) && may_end(e));
    }
}
