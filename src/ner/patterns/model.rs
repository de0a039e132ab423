//! Model names with a form of their own: the phone series that cases are sold for, and letters with numbers (`XR-200`).
//!
//! Other models are known from the catalogue only.

use std::sync::LazyLock;

use regex::Captures;

use super::{Context, Cues, Found, Rule, range_of, rule};
use crate::domain::EntityType::Model;

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        rule(
            Model,
            Cues::LATIN,
            r"(?:iphone ?(?:[0-9]{1,2}|x[rs]?|se)(?: ?(?:pro ?max|pro|plus|max|mini))?|galaxy ?[a-z][0-9]{1,3}(?: ?(?:ultra|plus|fe))?|mate ?[0-9]{2}(?: ?(?:pro|rs))?|redmi ?(?:note ?)?[0-9]{1,2}(?: ?pro)?|pixel ?[0-9]{1,2}(?: ?(?:pro|a))?|ipad ?(?:air|pro|mini)(?: ?[0-9]{1,2})?|switch oled|ps5|xbox series [xs])",
            model,
        ),
        rule(Model, Cues::LATIN.and(Cues::DIGIT).and(Cues::SEPARATOR), r"(?-u:\b)[a-z]{1,4}-[0-9]{3,4}[a-z]{0,3}[0-9]?(?-u:\b)", numbered),
    ]
});

fn model(_: &Context, captures: &Captures) -> Option<Found> {
    Some(Found { range: range_of(captures)?, value: None })
}

fn numbered(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    // `order LZ-1002`, `#R-2041`, `PO-2207`: a number of something else.
    let before = context.before(range.start).trim_end();
    if ["po-", "no-", "so-", "lz-"].iter().any(|papers| captures[0].starts_with(papers))
        || before.ends_with(['#', '号', ':'])
        || ["order", "no", "no.", "number", "ref", "ticket", "case", "return"].iter().any(|w| before.ends_with(w))
    {
        return None;
    }
    Some(Found { range, value: None })
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::Model;

    #[test]
    fn phone_series_and_numbered_models_are_found() {
        check(Model, "iPhone15 Pro的手机壳", "iPhone15 Pro");
        check(Model, "case for iPhone XS Max", "iPhone XS Max");
        check(Model, "XR-200开不了机", "XR-200");
        check(Model, "order LZ-1002 is late", "");
    }
}
