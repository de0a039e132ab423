//! Single fields as other people write them: languages, readers, times, ids.

use sha2::{Digest, Sha256};

use crate::domain::{Audience, Lang, check_id};
use crate::text::detect;

/// `zh-CN`, `en_us`, `中文`; `None` where it is neither of our languages.
pub(super) fn lang(name: &str) -> Option<Lang> {
    let name = name.trim().to_lowercase();
    let first = name.split(['-', '_']).next().unwrap_or_default();
    match first {
        "zh" | "cn" | "chinese" | "中文" | "汉语" | "简体中文" | "繁體中文" => Some(Lang::Zh),
        "en" | "english" | "英文" | "英语" => Some(Lang::En),
        _ => None,
    }
}

/// The language that is stated, else the one of the text, else the fallback.
///
/// # Errors
/// Another language, or none that can be told; for people.
pub(super) fn lang_or_detect(stated: Option<&str>, text: &str, fallback: Option<Lang>) -> Result<Lang, String> {
    match stated.map(str::trim).filter(|s| !s.is_empty()) {
        Some(name) => lang(name).ok_or_else(|| format!("its language is {name:?}: zh and en are known")),
        None => detect(text).or(fallback).ok_or_else(|| "its language cannot be told: state zh or en".to_owned()),
    }
}

/// The language that a path names, the part nearest to the file first: `zh/returns`, `returns.en`, `returns_zh-cn`.
pub(super) fn lang_of_path(path: &str) -> Option<Lang> {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    // After a dot or a dash; the locale itself may have a dash (`returns-zh-cn`).
    let cuts = file.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '-' | '_')).take(3);
    let suffix = cuts.filter_map(|(at, c)| locale(&file[at + c.len_utf8()..])).next();
    suffix.or_else(|| folders.rsplit('/').find_map(locale)).or_else(|| locale(file))
}

/// Narrower than [`lang`]: `en-route` is the name of a page, `en-us` a locale.
pub(super) fn locale(name: &str) -> Option<Lang> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let (first, region) = name.split_once('-').unwrap_or((&name, ""));
    let known = match region.len() {
        0 => true,
        2 => region.bytes().all(|b| b.is_ascii_alphabetic()),
        _ => matches!(region, "hans" | "hant" | "hans-cn" | "hant-tw" | "hant-hk"),
    };
    match first {
        "zh" if known => Some(Lang::Zh),
        "en" if known => Some(Lang::En),
        _ => None,
    }
}

/// # Errors
/// A word that is neither: taken for customers it might send out what is not for them.
pub(super) fn audience(name: &str) -> Result<Audience, String> {
    match name.trim().to_lowercase().as_str() {
        "customer" | "customers" | "public" | "everyone" | "客户" | "顾客" | "公开" => Ok(Audience::Customer),
        "agent" | "agents" | "internal" | "staff" | "private" | "客服" | "内部" => Ok(Audience::Agent),
        other => Err(format!("its audience is {other:?}: write customer or agent")),
    }
}

/// A date stands for its first moment, UTC; everything else is taken as it is, and checked with the article.
pub(super) fn time(text: &str) -> String {
    let text = text.trim();
    let date = text.len() == 10 && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if date { format!("{text}T00:00:00Z") } else { text.to_owned() }
}

/// An id for what has none, from its path or address: usable, and the same at every import.
pub(super) fn id_of(path: &str) -> String {
    let clean: String = path.trim().chars().map(|c| if c.is_control() { '-' } else { c }).collect();
    let clean = clean.trim_matches('/').trim();
    match check_id(clean) {
        Ok(()) => clean.to_owned(),
        Err(_) if clean.is_empty() => format!("article-{}", hash(path)),
        Err(_) => format!("{}-{}", clean.chars().take(180).collect::<String>(), hash(path)),
    }
}

/// The id of an article's part.
pub(super) fn id_of_part(id: &str, number: usize) -> String {
    let whole = format!("{id}-{number}");
    if check_id(&whole).is_ok() {
        return whole;
    }
    format!("{}-{}-{number}", id.chars().take(170).collect::<String>(), hash(id))
}

/// Eight digits that tell texts apart.
pub(super) fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_in_many_spellings() {
        for name in ["zh", "zh-CN", "ZH_tw", "zh-Hant-HK", " 中文 "] {
            assert_eq!(lang(name), Some(Lang::Zh), "{name}");
        }
        assert_eq!((lang("en-us"), lang("English"), lang("fr"), lang("")), (Some(Lang::En), Some(Lang::En), None, None));
        assert_eq!(lang_or_detect(Some(" "), "怎么退货", None), Ok(Lang::Zh));
        assert!(lang_or_detect(Some("fr-FR"), "怎么退货", None).unwrap_err().contains("fr-FR"));
        assert_eq!(lang_or_detect(None, "123", Some(Lang::En)), Ok(Lang::En));
        assert!(lang_or_detect(None, "123", None).is_err());
    }

    #[test]
    fn a_path_names_its_language() {
        for (path, expect) in [
            ("zh/returns", Some(Lang::Zh)),
            ("zh/faq/returns.en", Some(Lang::En)),
            ("returns-zh-cn", Some(Lang::Zh)),
            ("returns_zh_TW", Some(Lang::Zh)),
            ("en-us/a", Some(Lang::En)),
            ("en", Some(Lang::En)),
            ("shipping/en-route", None),
            ("pens/broken", None),
            ("frozen", None),
        ] {
            assert_eq!(lang_of_path(path), expect, "{path}");
        }
    }

    #[test]
    fn readers_are_never_guessed() {
        assert_eq!((audience("Public"), audience("内部")), (Ok(Audience::Customer), Ok(Audience::Agent)));
        assert!(audience("vip").unwrap_err().contains("customer or agent"));
    }

    #[test]
    fn dates_become_times() {
        assert_eq!(time("2026-01-31"), "2026-01-31T00:00:00Z");
        assert_eq!(time(" 2026-01-31T08:00:00+08:00"), "2026-01-31T08:00:00+08:00");
        assert_eq!(time("tomorrow!!"), "tomorrow!!");
    }

    #[test]
    fn ids_are_usable() {
        for path in ["shipping/overseas", "a\nb", "", "///", &"长".repeat(300), &format!("{}/x", "y".repeat(199))] {
            let id = id_of(path);
            assert_eq!(check_id(&id), Ok(()), "{path}");
            assert_eq!(check_id(&id_of_part(&id, 100)), Ok(()));
        }
        assert_eq!(id_of("shipping/overseas"), "shipping/overseas");
        assert_ne!(id_of(&format!("{}1", "长".repeat(300))), id_of(&format!("{}2", "长".repeat(300))));
        assert_eq!(id_of_part("x", 2), "x-2");
    }
}
