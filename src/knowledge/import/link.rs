//! Addresses in texts: what a reader is shown of a link, and where a relative one leads (RFC 3986, section 5).

/// What is shown of a link: an address that works outside of its page, a mail address, a telephone number.
///
/// `None` where it leads nowhere: scripts, places in the page, relative links of a text without an address.
pub(super) fn shown(href: &str, base: Option<&str>) -> Option<String> {
    let href: String = href.trim().chars().filter(|c| !c.is_control()).collect();
    if href.is_empty() || href.starts_with('#') {
        return None;
    }
    match scheme(&href).map(str::to_ascii_lowercase).as_deref() {
        Some("http" | "https") => Some(href),
        Some(kind @ ("mailto" | "tel" | "sms")) => {
            let address = href.get(kind.len() + 1..)?.split('?').next()?;
            (!address.is_empty()).then(|| address.to_owned())
        }
        Some(_) => None,
        None if href.starts_with("//") => Some(format!("https:{href}")),
        None => base.and_then(|base| join(base, &href)),
    }
}

/// Whether a link's text already says where it leads.
pub(super) fn says(text: &str, url: &str) -> bool {
    fn bare(url: &str) -> &str {
        let url = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or(url);
        url.strip_suffix('/').unwrap_or(url)
    }
    bare(text).eq_ignore_ascii_case(bare(url))
}

fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let word = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (word && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

/// Where a reference leads that stands in the page `base`; `None` where `base` is no absolute address.
pub(super) fn join(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default().trim();
    if scheme(reference).is_some() {
        return Some(reference.to_owned());
    }
    let scheme = scheme(base)?;
    let rest = base.get(scheme.len()..)?.strip_prefix("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    if let Some(other) = reference.strip_prefix("//") {
        return Some(format!("{scheme}://{other}"));
    }
    let whole = match reference {
        "" => rest.split('#').next().unwrap_or_default().to_owned(),
        _ if reference.starts_with('/') => dotless(reference),
        _ if reference.starts_with('?') => format!("{path}{reference}"),
        _ => dotless(&format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder))),
    };
    Some(format!("{scheme}://{authority}{whole}"))
}

/// A path without `.` and `..`; what follows a `?` is left alone.
fn dotless(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (at, &part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(part),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_a_browser_would_go() {
        let base = "https://help.shop.cn/zh/returns/how?x=1#y";
        for (reference, expect) in [
            ("size", "https://help.shop.cn/zh/returns/size"),
            ("./size?a=../b", "https://help.shop.cn/zh/returns/size?a=../b"),
            ("../pay/", "https://help.shop.cn/zh/pay/"),
            ("../../../..", "https://help.shop.cn/"),
            ("/en/a#b", "https://help.shop.cn/en/a"),
            ("?p=2", "https://help.shop.cn/zh/returns/how?p=2"),
            ("", "https://help.shop.cn/zh/returns/how?x=1"),
            ("//cdn.cn/a", "https://cdn.cn/a"),
            ("http://other.cn", "http://other.cn"),
        ] {
            assert_eq!(join(base, reference).as_deref(), Some(expect), "{reference}");
        }
        assert_eq!(join("https://a.cn", "b").as_deref(), Some("https://a.cn/b"));
        assert_eq!(join("folder/page.html", "b"), None);
    }

    #[test]
    fn only_what_leads_somewhere_is_shown() {
        for (href, expect) in [
            ("https://a.cn/退货", Some("https://a.cn/退货")),
            ("HTTPS://a.cn", Some("HTTPS://a.cn")),
            (" mailto:help@a.cn?subject=x ", Some("help@a.cn")),
            ("tel:+86400", Some("+86400")),
            ("//a.cn/b", Some("https://a.cn/b")),
            ("javascript:alert(1)", None),
            ("java\nscript:alert(1)", None),
            ("data:text/html,x", None),
            ("mailto:", None),
            ("#top", None),
            ("returns.md", None),
            ("", None),
        ] {
            assert_eq!(shown(href, None).as_deref(), expect, "{href}");
        }
        assert_eq!(shown("b", Some("https://a.cn/c")).as_deref(), Some("https://a.cn/b"));
    }

    #[test]
    fn an_address_is_not_said_twice() {
        assert!(says("a.cn/b", "https://a.cn/b/") && says("https://a.cn", "http://A.cn"));
        assert!(!says("our shop", "https://a.cn"));
    }
}
