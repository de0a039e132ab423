use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::Audience;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn import_folder(files: &[(&str, &[u8])]) -> Imported {
    let dir = folder(files);
    let mut found = import(dir.path().to_str().unwrap(), &ImportOptions::default()).unwrap();
    shorten(&dir, &mut found);
    found
}

/// Takes the name of the temporary folder out of places and sources.
fn shorten(dir: &tempfile::TempDir, found: &mut Imported) {
    let root = format!("{}/", dir.path().display());
    for article in &mut found.articles {
        article.source = article.source.take().map(|s| s.replace(&root, ""));
    }
    for skipped in &mut found.skipped {
        *skipped = Skipped { place: skipped.place.replace(&root, ""), why: skipped.why.replace(&root, "") };
    }
}

fn import_file(name: &str, text: &str) -> Imported {
    import_with(name, text.as_bytes(), &ImportOptions::default()).unwrap()
}

fn import_with(name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    let dir = folder(&[(name, bytes)]);
    let mut found = import(dir.path().join(name).to_str().unwrap(), options)?;
    shorten(&dir, &mut found);
    Ok(found)
}

/// Why nothing at all came of a file.
fn refused(name: &str, bytes: &[u8]) -> String {
    import_with(name, bytes, &ImportOptions::default()).unwrap_err().to_string()
}

fn ids(found: &Imported) -> Vec<&str> {
    found.articles.iter().map(|a| a.id.as_str()).collect()
}

fn places(found: &Imported) -> Vec<&str> {
    found.skipped.iter().map(|s| s.place.as_str()).collect()
}

const HANDBOOK: &str = "---\ntitle: 海外配送要多久？\nlang: zh-CN\ncategory: 配送/海外\nintent: shipping_time\naudience: agent\nvalid_from: 2026-01-31\n\
    translation_of: shipping/overseas.en\ntags: [海外, 配送]\n---\n\n# 海外配送要多久？\n\n日本三天。\n";

#[test]
fn a_folder_of_markdown() {
    let found = import_folder(&[
        ("shipping/overseas.zh.md", HANDBOOK.as_bytes()),
        ("shipping/overseas.en.md", b"# How long does shipping abroad take?\n\nJapan: 3 days."),
        ("zh/pay_by-card.markdown", b"\xef\xbb\xbfVisa, Mastercard"),
        ("notes.txt", "周末不发货。".as_bytes()),
        ("drafts/new.md", b"---\ndraft: true\n---\nsoon"),
        ("broken.md", b"---\ntitle: a: b\n---\nx"),
        ("empty.md", b"# Only a title"),
        ("french.md", b"---\nlang: fr\n---\nBonjour"),
        ("logo.png", b"\x89PNG"),
        (".git/readme.md", b"hidden"),
    ]);
    assert_eq!(ids(&found), ["notes", "shipping/overseas.en", "shipping/overseas.zh", "zh/pay_by-card"]);
    let zh = &found.articles[2];
    assert_eq!((zh.question.as_str(), zh.answer.as_str(), zh.lang), ("海外配送要多久？", "日本三天。", Lang::Zh));
    assert_eq!((zh.category.as_deref(), zh.intent.as_deref()), (Some("配送/海外"), Some("shipping_time")));
    assert_eq!((zh.audience, zh.valid_from.as_deref()), (Audience::Agent, Some("2026-01-31T00:00:00Z")));
    assert_eq!((zh.translation_of.as_deref(), zh.source.as_deref()), (Some("shipping/overseas.en"), Some("shipping/overseas.zh.md")));
    let en = &found.articles[1];
    assert_eq!((en.lang, en.category.as_deref(), en.audience), (Lang::En, Some("shipping"), Audience::Customer));
    let card = &found.articles[3];
    assert_eq!((card.question.as_str(), card.lang, card.category.as_deref()), ("pay by card", Lang::Zh, None));
    assert_eq!(places(&found), ["broken.md", "drafts/new.md", "empty.md", "french.md", "logo.png"]);
    let why: Vec<_> = found.skipped.iter().map(|s| s.why.as_str()).collect();
    assert!(why[0].starts_with("line 2") && why[1] == "a draft" && why[2].contains("no text"), "{why:?}");
    assert!(why[3].contains("\"fr\"") && why[4].contains("tells no format"), "{why:?}");
}

#[test]
fn options_fill_what_is_not_said() {
    let options = ImportOptions { format: Some(Format::Markdown), lang: Some(Lang::Zh), category: Some("常见问题".into()) };
    let found = import_with("12", b"400-800", &options).unwrap();
    let article = &found.articles[0];
    assert_eq!((article.lang, article.category.as_deref(), article.question.as_str()), (Lang::Zh, Some("常见问题"), "12"));
    assert!(import_with("12", b"400-800", &ImportOptions::default()).unwrap_err().to_string().contains("state zh or en"));
    let dir = folder(&[("a.md", b"a"), ("b.html", b"b"), ("LICENSE", b"c")]);
    let found = import(dir.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(ids(&found), ["LICENSE", "a"]);
    assert!(found.skipped[0].why.contains("not named as markdown"));
}

#[test]
fn pages_of_a_site_from_files() {
    let found = import_folder(&[
        ("en/returns.html", b"<title>Returns</title><body><nav>x</nav><p>Within 7 days.</p></body>"),
        ("en/empty.html", b"<title>Nothing</title><script>app()</script><div id=root></div>"),
    ]);
    assert_eq!((found.articles[0].question.as_str(), found.articles[0].answer.as_str()), ("Returns", "Within 7 days."));
    assert_eq!(ids(&found), ["en/returns"]);
    assert!(found.skipped[0].why.contains("no text"));
}

#[test]
fn a_table_of_questions() {
    let csv = "\u{feff}标题,内容,分类,语言,编号\r\n怎么退货？,\"打开 App，\r\n点“退货”\",售后/退货,zh-CN,f1\r\nHow to pay?,\"Visa, \"\"Master\"\"\",,en,f2\r\n,,,,\r\n\
        只有问题,,,,\r\n少一列,x,y\r\n\"坏\"引号,x,,,\r\n怎么退货？,又一次,,,f1\r\nOù?,Là,,fr,f3\r\n运费多少？,十元,,,\r\n";
    let found = import_file("faq.csv", csv);
    let a = &found.articles;
    assert_eq!(ids(&found)[..2], ["f1", "f2"]);
    assert!(a[2].id.starts_with("faq-") && a[2].id.len() == 12, "{}", a[2].id);
    assert_eq!((a[0].answer.as_str(), a[0].category.as_deref()), ("打开 App，\n点“退货”", Some("售后/退货")));
    assert_eq!((a[1].answer.as_str(), a[1].lang, a[2].lang), ("Visa, \"Master\"", Lang::En, Lang::Zh));
    assert_eq!(places(&found), ["faq.csv:6", "faq.csv:7", "faq.csv:8", "faq.csv:9", "faq.csv:10"]);
    let why: Vec<_> = found.skipped.iter().map(|s| s.why.as_str()).collect();
    assert!(why[0].contains("`answer`") && why[1].contains("3 fields, and the header 5") && why[2].contains("written twice"), "{why:?}");
    assert!(why[3].contains("\"f1\" is taken by faq.csv:2") && why[4].contains("\"fr\""), "{why:?}");
    // Rows may be moved: an id that was made up stays.
    let moved = import_file("faq.csv", "问题;答案\n新的？;新\n运费多少？;十元");
    assert_eq!(moved.articles[1].id, a[2].id);
}

#[test]
fn quotes_that_never_close_cost_their_row() {
    let found = import_file("faq.tsv", "question\tanswer\tintent\nscreen\t\"5 inch\tx\nsecond\tb\tx\nthird\tc\tx");
    assert_eq!(found.articles.iter().map(|a| a.question.as_str()).collect::<Vec<_>>(), ["second", "third"]);
    assert!(found.skipped[0].why.contains("never closes") && found.skipped[0].place.ends_with(":2"), "{:?}", found.skipped);
    let many = "question,answer\na,b\n".to_owned() + &"\"c,d\n".repeat(200_001);
    let begun = Instant::now();
    assert_eq!(import_file("faq.csv", &many).articles.len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn old_line_breaks_are_counted() {
    let found = import_file("faq.csv", "question,answer\ra,b\rc\rd,e");
    assert_eq!((found.articles.len(), found.skipped[0].place.as_str()), (2, "faq.csv:3"));
}

#[test]
fn files_that_are_no_text_are_named() {
    let gbk = b"question,answer\n\xd4\xf5\xc3\xb4\xcd\xcb\xbb\xf5,\xcb\xc4";
    assert!(refused("faq.csv", gbk).contains("faq.csv: line 2 is not UTF-8: save it as UTF-8"), "{}", refused("faq.csv", gbk));
    for (bytes, expect) in [
        (&b"PK\x03\x04"[..], "spreadsheet"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b", "gzip"),
        (b"\xff\xfea\0", "UTF-16"),
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"name,phone\na,b", "no column is called question, title"),
        (b"\"question,answer\na,b", "never closes"),
    ] {
        assert!(refused("faq.csv", bytes).contains(expect), "{expect}: {}", refused("faq.csv", bytes));
    }
}

#[test]
fn our_own_articles() {
    let row =
        |id: &str| format!(r#"{{"id":"{id}","lang":"en","question":"Q {id}?","answer":"A","attachments":[{{"name":"n","text":"t"}}]}}"#);
    let lines = format!("{}\n\n{{\"id\":\"broken\n{{\"id\":\"x\",\"lang\":\"fr\"}}\n{}\n{}\n", row("a"), row("b"), row("a"));
    for name in ["kb.jsonl", "kb.json", "kb"] {
        let found = import_file(name, &lines);
        assert_eq!(ids(&found), ["a", "b"], "{name}");
        assert_eq!(places(&found), [format!("{name}:3"), format!("{name}:4"), format!("{name}:6")]);
        assert_eq!(found.articles[0].attachments[0].text, "t");
        assert!(found.skipped[2].why.contains(&format!("taken by {name}:1")), "{:?}", found.skipped);
    }
    let list = format!("[{},\n{},\n7]", row("a"), row("b"));
    let found = import_file("kb.json", &list);
    assert_eq!((ids(&found), places(&found)), (vec!["a", "b"], vec!["kb.json#3"]));
    assert_eq!(ids(&import_file("kb.json", &row("c"))), ["c"]);
    assert!(refused("kb.json", b"[{\"id\": 1,}").contains("kb.json:1: no JSON (column"));
    assert!(refused("kb.json", "[".repeat(1 << 20).as_bytes()).contains("no JSON"));
    assert!(refused("kb.json", b"3").contains("no list"));
}

const ZENDESK: &str = r#"{"count":6,"next_page":"https://a.zendesk.com/api/v2/help_center/articles.json?page=2",
  "sections":[{"id":7,"name":"海外","category_id":9}],"categories":[{"id":9,"name":"配送"}],
  "articles":[
  {"id":123,"title":" 海外配送 ","body":"<h1>时效</h1><p>日本三天，<a href=\"/hc/zh-cn/articles/9\">详情</a></p><script>x()</script>","locale":"zh-cn","draft":false,
   "section_id":7,"label_names":[],"updated_at":"2026-01-01T00:00:00Z","outdated":false,"user_segment_id":null,"html_url":"https://a.zendesk.com/hc/zh-cn/articles/123"},
  {"id":"124","title":"Refund limits","body":"<p>Up to 50 EUR without asking.</p>","locale":"en-us","draft":false,"user_segment_id":360},
  {"id":125,"title":"Soon","body":"<p>x</p>","locale":"en-us","draft":true},
  {"id":126,"title":"Livraison","body":"<p>x</p>","locale":"fr"},
  {"id":127,"title":"Empty","body":null,"locale":"en-gb"},
  {"id":123,"title":"Shipping abroad","body":"Japan: 3 days","locale":"en-us","source_locale":"zh-cn"},
  {"id":123,"title":"海外配送","body":"再来一次","locale":"zh-cn","source_locale":"zh-cn"}]}"#;

#[test]
fn an_export_of_zendesk() {
    let found = import_file("articles.json", ZENDESK);
    assert_eq!(ids(&found), ["zendesk-123", "zendesk-124", "zendesk-123-en-us"]);
    let first = &found.articles[0];
    assert_eq!((first.question.as_str(), first.lang, first.category.as_deref()), ("海外配送", Lang::Zh, Some("配送/海外")));
    assert_eq!(first.answer, "## 时效\n\n日本三天，详情 (https://a.zendesk.com/hc/zh-cn/articles/9)");
    assert_eq!(first.source.as_deref(), Some("https://a.zendesk.com/hc/zh-cn/articles/123"));
    assert_eq!((first.audience, found.articles[1].audience), (Audience::Customer, Audience::Agent));
    assert_eq!(found.articles[2].translation_of.as_deref(), Some("zendesk-123"));
    let next = "https://a.zendesk.com/api/v2/help_center/articles.json?page=2";
    assert_eq!(places(&found), [next, "articles.json#3", "articles.json#4", "articles.json#5", "articles.json#7"]);
    assert_eq!(found.skipped[1].why, "a draft");
    assert!(found.skipped[3].why.contains("`answer`") && found.skipped[4].why.contains("taken by articles.json#1"));
    // In a folder the next page is another file.
    let pages =
        import_folder(&[("1.json", ZENDESK.as_bytes()), ("2.json", br#"{"articles":[{"id":1,"title":"T","body":"a b","locale":"en"}]}"#)]);
    assert_eq!((pages.articles.len(), pages.skipped.len()), (4, 4));
}

#[test]
fn an_export_of_chatwoot() {
    let json = r##"{"payload":[
      {"id":1,"title":"退货政策","content":"# 退货政策\n\n**七天**内可退。","status":"published","locale":"zh_CN","category":{"id":2,"name":"售后","locale":"zh"}},
      {"id":2,"title":"Pay","content":"Use a card.","status":1,"category":{"name":"Payment","locale":"en"}},
      {"id":3,"title":"A","content":"b","status":"draft"},{"id":4,"title":"A","content":"b","status":2},
      {"id":5,"title":"A","content":"b","status":"secret"},{"id":6,"title":"","content":"b","status":1},
      {"title":"No id","content":"b","status":1}],"meta":{"articles_count":7}}"##;
    let found = import_file("articles.json", json);
    assert_eq!(ids(&found), ["chatwoot-1", "chatwoot-2"]);
    let a = &found.articles;
    assert_eq!((a[0].answer.as_str(), a[0].lang, a[0].category.as_deref()), ("## 退货政策\n\n七天内可退。", Lang::Zh, Some("售后")));
    assert_eq!((a[1].answer.as_str(), a[1].lang, a[1].category.as_deref()), ("Use a card.", Lang::En, Some("Payment")));
    let why: Vec<_> = found.skipped.iter().map(|s| s.why.as_str()).collect();
    assert_eq!(why[..2], ["a draft", "archived"]);
    assert!(why[2].contains("secret") && why[3].contains("`title`") && why[4].contains("`id`"), "{why:?}");
    let rows = r#"[{"id":9,"title":"Pay","content":"Use a card.","status":"published"}]"#;
    assert_eq!(ids(&import_file("rows.json", rows)), ["chatwoot-9"]);
}

#[test]
fn long_articles_become_parts() {
    let section = |n: usize| format!("## 第{n}节\n\n{}\n\n", "每一步都要看清楚再点。".repeat(700));
    let long = format!("# 手册\n\n{}", (1..=5).map(section).collect::<String>());
    let found = import_file("manual.md", &long);
    assert_eq!(ids(&found), ["manual", "manual-2", "manual-3"]);
    assert_eq!(found.articles[1].question, "手册 (2)");
    assert!(found.articles.iter().all(|a| a.answer.starts_with("## 第") && a.check().is_ok()));
    let all: usize = found.articles.iter().map(|a| a.answer.matches('每').count()).sum();
    assert_eq!(all, 5 * 700);
    let taken = import_folder(&[("manual-2.md", b"# Other\n\ntext"), ("manual.md", long.as_bytes())]);
    assert_eq!(ids(&taken), ["manual-2"]);
    assert!(taken.skipped[0].why.contains("\"manual-2\" is taken by manual-2.md"));
}

#[test]
fn files_that_are_too_long_are_skipped() {
    let found = import_folder(&[("a.md", b"# T\n\ntext"), ("b.md", &vec![b'x'; MOST_BYTES as usize + 1])]);
    assert_eq!(ids(&found), ["a"]);
    assert!(found.skipped[0].why.contains("longer than 5 MiB: split it"));
}

#[test]
fn reasons_are_short_and_hold_no_escapes() {
    let why = import_folder(&[("a.md", b"text"), ("b.csv", format!("\u{1b}[31m{}\na", "x".repeat(9000)).as_bytes())]).skipped.remove(0).why;
    assert!(why.chars().count() <= 600 && !why.contains('\u{1b}'), "{why}");
}

#[test]
fn places_that_are_none_are_errors() {
    let why = |place: &str| import(place, &ImportOptions::default()).unwrap_err().to_string();
    assert!(why("/nowhere/at all").contains("check the path"));
    assert!(why("ftp://a.cn/b").contains("http://"));
    #[cfg(unix)]
    assert!(why("/dev/null").contains("neither a file nor a folder"));
    let dir = folder(&[(".hidden.md", b"x")]);
    assert!(why(dir.path().to_str().unwrap()).contains("not hidden"));
    let dir = folder(&[("a.png", b"x"), ("b.png", b"x")]);
    let why = why(dir.path().to_str().unwrap());
    assert!(why.contains("a.png: its name tells no format") && why.contains("(and 1 more)"), "{why}");
}

#[test]
fn a_page_from_the_web() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap();
            let head = String::from_utf8_lossy(&buffer[..n]).into_owned();
            let (kind, body) = match head.split(' ').nth(1) {
                Some("/hc/zh-cn/a.md") => ("text/html; charset=utf-8", "<h1>退货</h1><p>见<a href='b'>这里</a></p>"),
                Some("/raw/a.md?x=1") => ("text/plain", "# Pay\n\nBy card."),
                Some("/api") => ("application/json", r#"{"articles":[{"id":1,"title":"T","body":"a b","locale":"en"}]}"#),
                _ => ("application/octet-stream", "[no](json)"),
            };
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        }
    });
    let get = |path: &str| import(&format!("http://{host}{path}"), &ImportOptions::default()).unwrap().articles.remove(0);
    let page = get("/hc/zh-cn/a.md");
    assert_eq!((page.id, page.question, page.lang), (format!("{host}/hc/zh-cn/a"), "退货".to_owned(), Lang::Zh));
    assert_eq!(page.answer, format!("见这里 (http://{host}/hc/zh-cn/b)"));
    assert_eq!(page.source, Some(format!("http://{host}/hc/zh-cn/a.md")));
    let raw = get("/raw/a.md?x=1");
    assert_eq!((raw.id, raw.answer.as_str(), raw.category), (format!("{host}/raw/a?x=1"), "By card.", None));
    assert_eq!(get("/api").id, "zendesk-1");
    assert_eq!(get("").answer, "no");
}

const ENDINGS: [&str; 9] = ["md", "html", "csv", "tsv", "json", "jsonl", "txt", "xyz", "ndjson"];

proptest! {
    #[test]
    fn no_bytes_at_all_break_the_importer(bytes in prop::collection::vec(any::<u8>(), 0..300), ending in 0..ENDINGS.len(), format in prop::option::of(0usize..6)) {
        let options = ImportOptions { format: format.map(|f| Format::ALL[f]), ..ImportOptions::default() };
        if let Ok(found) = import_with(&format!("f.{}", ENDINGS[ending]), &bytes, &options) {
            prop_assert!(found.articles.iter().all(|a| a.check().is_ok()));
        }
    }

    #[test]
    fn nor_does_any_text(text in "([\"',;|<>{}#*_`&\\[\\]()\\-\n\r\t ]|[a-z]{1,5}|退货|---\n|title: |question|answer|id|\\{\"id\":1,|\"title\":|<p>|\\]\\(http://a\\)){0,60}",
                         ending in 0..ENDINGS.len(), format in prop::option::of(0usize..6)) {
        let options = ImportOptions { format: format.map(|f| Format::ALL[f]), ..ImportOptions::default() };
        if let Ok(found) = import_with(&format!("f.{}", ENDINGS[ending]), text.as_bytes(), &options) {
            prop_assert!(found.articles.iter().all(|a| a.check().is_ok()));
        }
    }

    #[test]
    fn quoted_fields_come_through(question in "[a-z][ -~]{0,30}", answer in "[a-z退][ -~。\n]{0,60}") {
        let quote = |field: &str| format!("\"{}\"", field.replace('"', "\"\""));
        let csv = format!("question,answer\n{},{}\n", quote(&question), quote(&answer));
        let found = import_file("f.csv", &csv);
        prop_assert_eq!(&found.articles[0].answer, answer.trim());
        prop_assert_eq!(found.articles[0].question.clone(), question.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}
