//! Amounts of money; the value is `39.90 CNY` (ISO 4217), or none where the amount is vague (`两百多块`).

use std::sync::LazyLock;

use regex::Captures;

use super::numerals::{self, NUMBER};
use super::{Context, Cues, Found, Rule, group, range_of, rule, spec};
use crate::domain::EntityType::Amount;

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let digits = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]{1,2})?";
    vec![
        rule(Amount, Cues::SIGN.and(Cues::DIGIT), &format!(r"(?P<c>(?:hk|nt|us|au?|ca?|sg?)?\$|£|€|¥)\s?(?P<n>{digits})(?P<w>万)?"), money),
        rule(Amount, Cues::SIGN.and(Cues::DIGIT), &format!(r"(?P<n>{digits})\s?(?P<c>\$|£|€|¥)"), money),
        rule(Amount, Cues::LATIN.and(Cues::DIGIT), &format!(r"(?P<c>rmb|cny|usd|eur|gbp|hkd|aud|cad|sgd|jpy)[ :]?(?P<n>{digits})"), money),
        rule(
            Amount,
            Cues::LATIN.and(Cues::DIGIT),
            &format!(
                r"(?P<n>{digits}) ?(?P<c>rmb|cny|yuan|usd|(?:us |hk |australian |canadian )?dollars?|bucks?|eur|euros?|gbp|quid|hkd|aud|cad|sgd|jpy|yen)(?-u:\b)"
            ),
            money,
        ),
        // A weight as often as money: only with a word of paying before it.
        rule(
            Amount,
            Cues::LATIN.and(Cues::DIGIT),
            &format!(
                r"(?:paid|pay|costs?|charged|refund(?:ed)?|spent|worth|sav(?:e|ed|ing)|extra|fee of|price of) (?:me |of |about )?(?P<id>(?P<n>{digits}) (?P<c>pounds))(?-u:\b)"
            ),
            money,
        ),
        rule(
            Amount,
            Cues::MONEY.and(Cues::NUMBER),
            &format!(
                r"(?P<n>{NUMBER})(?P<v>多|来)?(?P<w>[万千百])?(?P<v2>多|来)?(?P<c>元(?:人民币)?|块钱?|人民币|港币|港元|美元|美金|欧元|英镑|日元|新台币|台币)(?P<t>[0-9三四五六七八九])?"
            ),
            chinese_money,
        ),
    ]
});

fn money(_: &Context, captures: &Captures) -> Option<Found> {
    let scale = if group(captures, "w").is_some() { 10_000.0 } else { 1.0 };
    let value = numerals::parse(group(captures, "n")?)? * scale;
    Some(Found { range: range_of(captures)?, value: Some(format!("{value:.2} {}", currency(group(captures, "c")?))) })
}

fn chinese_money(context: &Context, captures: &Captures) -> Option<Found> {
    let number = captures.name("n")?;
    let word = captures.name("c")?;
    let digits = number.as_str().starts_with(|c: char| c.is_ascii_digit());
    let mut range = number.start()..word.end();
    let mut value = numerals::parse(number.as_str());
    match word.as_str() {
        "块" => {
            // `一块儿`, `两块香皂`: small Chinese numerals count pieces unless 钱 says otherwise.
            if !digits
                && number.as_str() != "十"
                && number.as_str().chars().count() == 1
                && captures.name("t").is_none()
                && group(captures, "w").is_none()
            {
                return None;
            }
            if spec::counts_pieces(context)
                || context.after(range.end).starts_with(['装', '拼', '香', '肥', '毛', '电', '地', '蛋', '饼', '巧', '手', '抹'])
            {
                return None;
            }
            // `三块五`.
            if let Some(tenths) = captures.name("t")
                && !context
                    .after(tenths.end())
                    .starts_with(|c: char| c.is_ascii_digit() || "个件支瓶袋盒天次层单条张双对箱包只米套位人份年月斤块十百千万".contains(c))
            {
                range.end = tenths.end();
                value = value.zip(numerals::parse(tenths.as_str())).map(|(whole, tenths)| whole + tenths / 10.0);
            }
        }
        "元" if context.after(range.end).starts_with(['素', '宵', '旦', '件', '气']) => return None,
        _ => {}
    }
    let scale = match group(captures, "w") {
        Some("万") => 10_000.0,
        Some("千") => 1_000.0,
        Some("百") => 100.0,
        _ => 1.0,
    };
    let vague = group(captures, "v").is_some() || group(captures, "v2").is_some();
    // Numerals that say no number and are not vague either (`万元`) name no amount.
    if value.is_none() && !number.as_str().contains('几') {
        return None;
    }
    let value = value.filter(|_| !vague).map(|n| format!("{:.2} {}", n * scale, currency(word.as_str())));
    Some(Found { range, value })
}

fn currency(word: &str) -> &'static str {
    match word {
        "$" | "us$" | "usd" | "dollar" | "dollars" | "us dollar" | "us dollars" | "buck" | "bucks" | "美元" | "美金" => "USD",
        "hk$" | "hkd" | "hk dollar" | "hk dollars" | "港币" | "港元" => "HKD",
        "nt$" | "新台币" | "台币" => "TWD",
        "a$" | "au$" | "aud" | "australian dollar" | "australian dollars" => "AUD",
        "c$" | "ca$" | "cad" | "canadian dollar" | "canadian dollars" => "CAD",
        "s$" | "sg$" | "sgd" => "SGD",
        "£" | "gbp" | "quid" | "pounds" | "英镑" => "GBP",
        "€" | "eur" | "euro" | "euros" | "欧元" => "EUR",
        "jpy" | "yen" | "日元" => "JPY",
        _ => "CNY",
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::Amount;

    #[test]
    fn amounts_of_both_languages_are_read() {
        check(Amount, "付了¥39.9和39.9元", "¥39.9=39.90 CNY; 39.9元=39.90 CNY");
        check(Amount, "运费30块,不是三十块钱", "30块=30.00 CNY; 三十块钱=30.00 CNY");
        check(Amount, "花了两百多块,退几十块", "两百多块; 几十块");
        check(Amount, "三块五一支,1.2万元一台", "三块五=3.50 CNY; 1.2万元=12000.00 CNY");
        check(
            Amount,
            "RMB 99 or $12, 12 dollars, £8.50, €20, 20 USD",
            "RMB 99=99.00 CNY; $12=12.00 USD; 12 dollars=12.00 USD; £8.50=8.50 GBP; €20=20.00 EUR; 20 USD=20.00 USD",
        );
        check(Amount, "was charged 15 pounds, HK$1,299.00", "15 pounds=15.00 GBP; HK$1,299.00=1299.00 HKD");
        check(Amount, "￥１２８", "￥１２８=128.00 CNY");
    }

    #[test]
    fn pieces_and_weights_are_no_amounts() {
        check(Amount, "一块买的,两块香皂,200块积木,3单元", "");
        check(Amount, "a 5 pounds bag of rice, give us 9 days", "");
    }
}
