//! Days, weeks and months. There is no clock in this room, so the value is what the words alone say:
//!
//! - `2026-11-20`, `--11-20`, `--11`, `---20` (day, day of any year, month, day of any month; ISO 8601 and XML Schema),
//! - `P-3D`, `P1W`, `PT-2H` from the moment of the message (ISO 8601 durations, signed as in XML Schema),
//! - none where it takes a calendar (`上周五`) or is vague (`几天前`).
//!
//! Fixed words (`昨天`, `yesterday`, `双十一`) stand in the lexicon.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numerals::{parse, parse_small, plain};
use super::{Context, Cues, Found, Rule, group, range_of, rule};
use crate::domain::EntityType::Date;

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

const MONTHS: &str = r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";
const MONTH_STEMS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const COUNTS: [&str; 13] = ["an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let small = "[0-9]{1,2}|[一二三四五六七八九十]{1,3}";
    let year = r"(?:(?:(?P<y>20[0-9]{2})年|今年|去年|明年|前年)的?)?";
    let english_digit = Cues::LATIN.and(Cues::DIGIT);
    vec![
        rule(Date, Cues::CALENDAR.and(Cues::NUMBER), &format!("{year}(?P<m>{small})月(?:份的?)?(?P<d>{small})(?:日|号)?"), month_day),
        rule(Date, Cues::CALENDAR.and(Cues::NUMBER), &format!("{year}(?P<m>{small})月(?:份|底|初|中旬|末)?"), month),
        rule(
            Date,
            Cues::CALENDAR.and(Cues::NUMBER),
            &format!("(?:(?:这个|本|上个|下个|上|下)月的?)?(?P<d>{small})(?P<u>号|日)"),
            day_of_month,
        ),
        rule(
            Date,
            Cues::DIGIT.and(Cues::SEPARATOR),
            r"(?P<y>20[0-9]{2})(?:-(?P<m>[0-9]{1,2})-|/(?P<m2>[0-9]{1,2})/|\.(?P<m3>[0-9]{1,2})\.)(?P<d>[0-9]{1,2})",
            full,
        ),
        rule(Date, Cues::DIGIT.and(Cues::SEPARATOR), r"(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})(?:/(?P<y>20[0-9]{2}|[0-9]{2}))?", slashed),
        rule(
            Date,
            Cues::HAN.and(Cues::DIGIT).and(Cues::SEPARATOR),
            r"(?P<id>(?P<m>[0-9]{1,2})\.(?P<d>[0-9]{1,2})(?:号|日)?)(?:就|才)?(?:号|日|下的?单|买|拍|发的?货|付的?款|签收|收到|到期|到货|寄出|那天|当天)",
            month_day,
        ),
        rule(Date, Cues::HAN.and(Cues::DIGIT), "(?P<id>618)(?:大促|活动|的时候|期间|当天|那天|买|下单|拍|价|之前|的?优惠)", fixed_618),
        rule(Date, Cues::HAN.and(Cues::DIGIT), "(?:去年|今年|明年)的?(?:双11|双12|618)", relative_word),
        rule(Date, Cues::WEEK, "(?P<w>上上|下下|上|下|这|本)个?(?:周|星期|礼拜)(?P<d>[一二三四五六日天末])?", week),
        rule(Date, Cues::WEEK, "(?P<u>周|星期|礼拜)(?P<d>[一二三四五六日天末])", weekday),
        rule(
            Date,
            Cues::AGO.and(Cues::NUMBER),
            "(?P<n>[0-9]+|[一二两三四五六七八九十几百]+|半)(?P<more>多)?(?:个多?)?(?P<u>天|日|周|星期|礼拜|月|年|小时|钟头|分钟)(?:多|之|以)?(?P<side>前|后)",
            ago,
        ),
        rule(
            Date,
            Cues::LATIN,
            r"(?P<n>[0-9]{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:a )?couple(?: of)?|(?:a )?few|several) (?P<u>min(?:ute)?|h(?:ou)?r|day|week|month|year)s? (?:ago|earlier|back)(?-u:\b)",
            english_ago,
        ),
        rule(
            Date,
            english_digit,
            &format!(r"(?P<mon>{MONTHS})\.? ?(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y>20[0-9]{{2}}))?"),
            english_date,
        ),
        rule(
            Date,
            english_digit,
            &format!(r"(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)? ?(?:of )?(?P<mon>{MONTHS})(?:\.?,? (?P<y>20[0-9]{{2}}))?"),
            english_date,
        ),
        rule(
            Date,
            english_digit,
            r"(?:on|by|before|until|till|since|after|from|to) (?P<id>the (?P<d>[0-9]{1,2})(?:st|nd|rd|th))(?: of (?:this|last|next) month)?",
            english_day,
        ),
        rule(
            Date,
            Cues::LATIN,
            r"(?:in|since|from|until|till|by|of|before|after|during|for|to) (?P<id>(?P<mon>january|february|march|april|may|june|july|august|september|october|november|december)(?: (?P<y>20[0-9]{2}))?)(?-u:\b)",
            english_month,
        ),
        rule(
            Date,
            Cues::LATIN,
            r"(?:last|next|this(?: coming)?|coming|on|by|until|till|since|before|from) (?P<day>mon|tues?|wed|thu(?:rs?)?|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekend)(?-u:\b)",
            english_weekday,
        ),
    ]
});

/// The time of the day that follows a date belongs to it: `昨天下午3点`, `Friday at 5pm`.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    let chinese = "(?:早上|上午|中午|下午|晚上|凌晨|傍晚|夜里|早晨|一早)";
    let clock = "[0-9]{1,2}(?:[::][0-9]{2}|点(?:半|[0-9]{1,2}分?|钟|多)?)";
    let spoken = "[一二两三四五六七八九十]{1,3}点(?:半|钟|多)?";
    let english = r"(?: (?:at |around )?[0-9]{1,2}(?::[0-9]{2})? ?[ap]m| (?:morning|afternoon|evening|night|noon))";
    let pattern = format!(r"^(?:的?{chinese}(?: ?{clock}|{spoken})?| ?{clock}|{english}(?-u:\b))");
    Regex::new(&pattern).unwrap_or_else(|e| panic!("the pattern {pattern} of a time does not compile: {e}"))
});

/// The end of the time of day that follows a date ending at `at`, or `at`.
pub(in crate::ner) fn end_with_time(text: &str, at: usize) -> usize {
    match text[at..].chars().next() {
        Some(' ' | '的' | '早' | '上' | '中' | '下' | '晚' | '凌' | '傍' | '夜' | '一' | '0'..='9') => {
            TIME.find(&text[at..]).map_or(at, |m| at + m.end())
        }
        _ => at,
    }
}

fn found(context: &Context, range: Range<usize>, value: Option<String>) -> Option<Found> {
    Some(Found { range: range.start..end_with_time(context.text, range.end), value })
}

fn day_value(year: Option<u32>, month: u32, day: u32) -> Option<String> {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 29,
        _ => return None,
    };
    (1..=days).contains(&day).then(|| match year {
        Some(year) => format!("{year:04}-{month:02}-{day:02}"),
        None => format!("--{month:02}-{day:02}"),
    })
}

fn small(captures: &Captures, name: &str) -> Option<u32> {
    parse_small(group(captures, name)?)
}

fn year(captures: &Captures) -> Option<u32> {
    small(captures, "y").map(|y| if y < 100 { 2000 + y } else { y })
}

fn month_day(context: &Context, captures: &Captures) -> Option<Found> {
    let value = day_value(year(captures), small(captures, "m")?, small(captures, "d")?)?;
    found(context, range_of(captures)?, Some(value))
}

fn month(context: &Context, captures: &Captures) -> Option<Found> {
    let month = small(captures, "m").filter(|m| (1..=12).contains(m))?;
    let value = year(captures).map_or_else(|| format!("--{month:02}"), |y| format!("{y:04}-{month:02}"));
    found(context, range_of(captures)?, Some(value))
}

/// `20号` is a day, and `3号楼`, `色号21号`, `7号电池` are not.
fn day_of_month(context: &Context, captures: &Captures) -> Option<Found> {
    let day = small(captures, "d").filter(|d| (1..=31).contains(d))?;
    let range = range_of(captures)?;
    let (before, after) = (context.before(range.start), context.after(range.end));
    let numbers_something_else = if group(captures, "u") == Some("日") {
        // `7日内`, `30日装` are lengths of time.
        after.starts_with(['内', '装', '游', '无', '后', '前', '之', '以', '期'])
    } else {
        const THINGS: &str = "楼店线电柜机门房仓桌口色院库馆厅鞋码站车粉链商品款客服池球床位窗技公员会人墨布笔";
        after.starts_with(|c: char| THINGS.contains(c))
    };
    let has_a_place = before.ends_with(['第', '路', '街', '弄', '巷', '道', '村', '园', '型', '色', '穿', '单', '编', '货', '款', '-', '码', '区', '城', '大', '小'])
        // `色号21号和23号`.
        || before.char_indices().rev().nth(7).map_or(before, |(at, _)| &before[at..]).contains("色号");
    if numbers_something_else || has_a_place {
        return None;
    }
    found(context, range, Some(format!("---{day:02}")))
}

fn full(context: &Context, captures: &Captures) -> Option<Found> {
    let month = small(captures, "m").or_else(|| small(captures, "m2")).or_else(|| small(captures, "m3"))?;
    found(context, range_of(captures)?, Some(day_value(year(captures), month, small(captures, "d")?)?))
}

/// `11/20`: month first in Chinese; in English only where the numbers leave one reading.
fn slashed(context: &Context, captures: &Captures) -> Option<Found> {
    let (a, b) = (small(captures, "a")?, small(captures, "b")?);
    let range = range_of(captures)?;
    let before = context.before(range.start).trim_end();
    let chinese = context.cues.has(Cues::HAN);
    if group(captures, "y").is_none() {
        // Shares and marks: `1/2`, `9/10`.
        let announced = ["on", "by", "before", "since", "from", "until", "till", "dated", "of", "在", "于", "从", "到", "自", "是"]
            .iter()
            .any(|w| before.ends_with(w));
        let share = b == 10 || (a, b) == (24, 7) || matches!((a, b), (1, 2..=5) | (2, 3) | (3, 4));
        if (share && !announced) || before.ends_with('/') || context.after(range.end).starts_with(['/', '%']) {
            return None;
        }
    }
    let value = match (day_value(year(captures), a, b), day_value(year(captures), b, a)) {
        (Some(month_first), None) => Some(month_first),
        (None, Some(day_first)) => Some(day_first),
        (Some(month_first), Some(_)) => (chinese || a == b).then_some(month_first),
        (None, None) => return None,
    };
    found(context, range, value)
}

fn fixed_618(context: &Context, captures: &Captures) -> Option<Found> {
    found(context, range_of(captures)?, Some("--06-18".to_owned()))
}

/// The year is relative and the day is not: the day is said.
fn relative_word(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    let value = match &context.text[range.clone()] {
        word if word.ends_with("11") => "--11-11",
        word if word.ends_with("12") => "--12-12",
        _ => "--06-18",
    };
    found(context, range, Some(value.to_owned()))
}

fn week(context: &Context, captures: &Captures) -> Option<Found> {
    let weeks = match group(captures, "w")? {
        "上上" => "P-2W",
        "上" => "P-1W",
        "下" => "P1W",
        "下下" => "P2W",
        _ => "P0W",
    };
    let value = captures.name("d").is_none().then(|| weeks.to_owned());
    found(context, range_of(captures)?, value)
}

/// `周五`, and not the `周一` of `一周一次`.
fn weekday(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    let (day, short) = (group(captures, "d")?, group(captures, "u")? == "周");
    let before = context.before(range.start);
    let counted = before
        .ends_with(['一', '两', '二', '三', '四', '五', '六', '几', '个', '每', '半', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    if (short && (counted || day == "天")) || context.after(range.end).starts_with(['次', '个', '般', '直', '共', '定']) {
        return None;
    }
    found(context, range, None)
}

fn ago(context: &Context, captures: &Captures) -> Option<Found> {
    // `三天前台`, `3天后台`: the second half of another word.
    let range = range_of(captures)?;
    if context.after(range.end).starts_with(['台', '面', '续', '者', '悔', '来', '果']) {
        return None;
    }
    let unit = match group(captures, "u")? {
        "天" | "日" => ("P", "D"),
        "周" | "星期" | "礼拜" => ("P", "W"),
        "月" => ("P", "M"),
        "年" => ("P", "Y"),
        "小时" | "钟头" => ("PT", "H"),
        _ => ("PT", "M"),
    };
    let vague = captures.name("more").is_some() || captures[0].contains('多');
    let count = group(captures, "n").filter(|_| !vague).and_then(parse);
    found(context, range, duration(unit, count, group(captures, "side")? == "前"))
}

fn duration((prefix, unit): (&str, &str), count: Option<f64>, past: bool) -> Option<String> {
    let count = count.filter(|&n| n >= 1.0)?;
    Some(format!("{prefix}{}{}{unit}", if past { "-" } else { "" }, plain(count)))
}

fn english_ago(context: &Context, captures: &Captures) -> Option<Found> {
    let unit = match group(captures, "u")? {
        "day" => ("P", "D"),
        "week" => ("P", "W"),
        "month" => ("P", "M"),
        "year" => ("P", "Y"),
        "hr" | "hour" => ("PT", "H"),
        _ => ("PT", "M"),
    };
    let count = match group(captures, "n")? {
        "a" => Some(1.0),
        word => parse(word).or_else(|| COUNTS.iter().position(|c| *c == word).map(|at| at.max(1) as f64)),
    };
    found(context, range_of(captures)?, duration(unit, count, true))
}

fn month_number(word: &str) -> Option<u32> {
    MONTH_STEMS.iter().position(|stem| word.starts_with(stem)).map(|at| at as u32 + 1)
}

fn english_date(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    // `I may 2 days later`: the number counts what follows.
    const COUNTED: [&str; 8] = [" day", " week", " month", " hour", " item", " piece", " people", " of "];
    if captures.name("y").is_none() && COUNTED.iter().any(|thing| context.after(range.end).starts_with(thing)) {
        return None;
    }
    let value = day_value(year(captures), month_number(group(captures, "mon")?)?, small(captures, "d")?)?;
    found(context, range, Some(value))
}

fn english_day(context: &Context, captures: &Captures) -> Option<Found> {
    let day = small(captures, "d").filter(|d| (1..=31).contains(d))?;
    let range = range_of(captures)?;
    const THINGS: [&str; 9] = [" floor", " time", " order", " item", " one", " attempt", " day", " week", " of these"];
    if THINGS.iter().any(|thing| context.after(range.end).starts_with(thing)) {
        return None;
    }
    found(context, range, Some(format!("---{day:02}")))
}

fn english_month(context: &Context, captures: &Captures) -> Option<Found> {
    let month = month_number(group(captures, "mon")?)?;
    let value = year(captures).map_or_else(|| format!("--{month:02}"), |y| format!("{y:04}-{month:02}"));
    found(context, range_of(captures)?, Some(value))
}

/// `last Friday` takes a calendar; the word before belongs to the date only where it moves it.
fn english_weekday(context: &Context, captures: &Captures) -> Option<Found> {
    let (whole, day) = (captures.get(0)?, captures.name("day")?);
    let moves = ["last", "next", "this", "coming"].iter().any(|w| whole.as_str().starts_with(w));
    found(context, if moves { whole.range() } else { day.range() }, None)
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::Date;

    #[test]
    fn chinese_days_are_read() {
        check(Date, "11月20日买的,十一月二十号到", "11月20日=--11-20; 十一月二十号=--11-20");
        check(Date, "2026年11月20日下午3点和2026-11-20", "2026年11月20日下午3点=2026-11-20; 2026-11-20=2026-11-20");
        check(Date, "11/20下单,11.20发货,20号到", "11/20=--11-20; 11.20=--11-20; 20号=---20");
        check(Date, "上周五买的,下周一到,周末在家,这周", "上周五; 下周一; 周末; 这周=P0W");
        check(Date, "三天前和3个月后,几天前,两周前,2小时前", "三天前=P-3D; 3个月后=P3M; 几天前; 两周前=P-2W; 2小时前=PT-2H");
        check(Date, "10月份发的,12月1号", "10月份=--10; 12月1号=--12-01");
        check(Date, "去年双11买的,618活动价", "去年双11=--11-11; 618=--06-18");
    }

    #[test]
    fn english_days_are_read() {
        check(Date, "Nov 20th, 20 Nov 2026, November 3, 2026", "Nov 20th=--11-20; 20 Nov 2026=2026-11-20; November 3, 2026=2026-11-03");
        check(
            Date,
            "3 days ago, a week ago, an hour ago, a few days ago",
            "3 days ago=P-3D; a week ago=P-1W; an hour ago=PT-1H; a few days ago",
        );
        check(Date, "last Friday at 5pm, next mon, in March, by the 20th", "last Friday at 5pm; next mon; March=--03; the 20th=---20");
        check(Date, "on 20/11/2026 or 5/6/2026", "20/11/2026=2026-11-20; 5/6/2026");
    }

    #[test]
    fn other_numbers_are_no_dates() {
        check(Date, "3号楼,色号21号,7号电池,幸福路20号,一周一次,24/7", "");
        check(Date, "9/10 would buy, 1/2 price, the 3rd floor, 13/32, 2026-13-40, I may 2 days later", "");
        check(Date, "买了3个月饼,7日内,3.5寸", "");
    }
}
