use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn whole(html: &str) -> Page {
    page(html, None)
}

fn check(html: &str, expect: &str) {
    assert_eq!(text(html, None), expect, "{html}");
}

#[test]
fn a_page_of_a_help_centre() {
    let html = r#"<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><title>退货 &ndash; 小店帮助中心</title>
<style>p { color: red }</style><script>var x = "<p>不要</p>";</script></head>
<body onload="alert(1)">
<header><a href="/">首页</a><h1>小店</h1></header>
<nav><ul><li>配送</li></ul></nav>
<main>
  <h1>怎么<em>退货</em>？</h1>
  <p>签收后 7&nbsp;天内可退，
     吊牌要在。详见<a href="/size?a=1&amp;b=2">尺码表</a>。</p>
  <!-- 内部：不要写运费 -->
  <h2>步骤</h2>
  <ol><li>打开 App<li>点“申请退货”<ul><li>拍照</li></ul></ol>
  <table><tr><th>国家</th><th>运费</th></tr><tr><td><p>日本</p></td><td><p>80 元</p><p>包税</p></td></tr></table>
  <pre><code>快递单号
  SF123</code></pre>
  <p onclick="steal()">完成<br/>谢谢</p><img src=x alt="流程图">
  <form><input name=q><button>搜索</button></form><noscript>请打开脚本</noscript>
</main>
<footer>© 小店</footer></body></html>"#;
    let found = page(html, Some("https://help.shop.cn/zh/returns"));
    assert_eq!(found.title.as_deref(), Some("怎么退货？"));
    let expect = "签收后 7 天内可退，吊牌要在。详见尺码表 (https://help.shop.cn/size?a=1&b=2)。\n\n## 步骤\n\n1. 打开 App\n2. 点“申请退货”\n  - 拍照\n\n\
                  国家 | 运费\n日本 | 80 元 包税\n\n快递单号\n  SF123\n\n完成\n谢谢\n\n流程图";
    assert_eq!(found.text, expect);
}

#[test]
fn blocks_lists_tables_and_code() {
    check("<p>one<p>two<div>three</div>four", "one\n\ntwo\nthree\nfour");
    check("<ul><li><p>a</p><p>b</p></li><li>c</li></ul>after", "- a\n  b\n- c\n\nafter");
    check("<ol start=3><li>a<li>b</ol>", "3. a\n4. b");
    check("<ul><li></li><li> </li></ul>end", "end");
    check("<h2>A</h2>text<h3>B<p>unclosed</p>", "## A\n\ntext\n\n## B\n\nunclosed");
    check("<h2><a href='#a'></a></h2><h2><div>A</div></h2>b", "## A\n\nb");
    check("<table><tr><td></td><td>x</td></tr><tr><td>a<br>b<td></td><td>c</table>", "| x\na\nb | | c");
    check("<table><tr><td><h2>A</h2><p>b</p><p>c</p></td></tr></table>", "## A\n\nb\n\nc");
    check("<pre>\na  b\n\n\n c\n</pre>d", "a  b\n\n\n c\n\nd");
    check("a   b\n\tc", "a b c");
    check("中文\n中文\nand\n中文", "中文中文 and 中文");
    check("<dl><dt>能退吗</dt><dd>能</dd></dl>", "能退吗\n能");
}

#[test]
fn links_say_where_they_lead_where_the_text_does_not() {
    check("<a href='https://a.cn'>https://a.cn/</a> <a href=https://a.cn/b>b </a>c", "https://a.cn/ b (https://a.cn/b) c");
    check("<a href='javascript:x()'>a</a><a href='mailto:x@a.cn'>x@a.cn</a><a href=https://c.cn></a>", "ax@a.cn");
    check("<a href=https://a.cn>one<a href=https://b.cn>two", "one (https://a.cn)two (https://b.cn)");
    check("<ul><li><a href=https://a.cn><div>A</div></a></li></ul>", "- A (https://a.cn)");
}

#[test]
fn what_is_no_text_is_dropped() {
    check("a<script>b</script><style>c</style><iframe>d</iframe><svg><title>e</title><text>f</text></svg><noscript>g</noscript>h", "ah");
    check("<nav>a<nav>b</nav>c</nav>d<footer>e</footer><header>f</header><form>g</form>", "d");
    check("a\u{0}b\u{feff}c\u{200b}d\u{7}e", "abcde");
    check("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>");
}

#[test]
fn a_menu_that_never_closes_does_not_take_the_page_with_it() {
    check("<nav>a<p>b", "a\n\nb");
    check("<header><form>a</header>b", "b");
    assert_eq!(whole("<form><p>a</p><input></form>").text, "a");
    assert_eq!(whole("<form><main><h1>T</h1>a<form>b</form></main></form>").text, "a");
}

#[test]
fn the_title_is_the_pages_own() {
    let title = |html: &str| whole(html).title;
    assert_eq!(title("<title> A\n B </title><p>x").as_deref(), Some("A B"));
    assert_eq!(title("<title>A</title><nav><h1>Shop</h1></nav><h1>B</h1>x").as_deref(), Some("B"));
    assert_eq!(title("<title>A</title><nav><h1>Shop</h1></nav>x").as_deref(), Some("A"));
    assert_eq!(title("<nav><h1>Shop</h1></nav>x").as_deref(), Some("Shop"));
    assert_eq!(title("<h1><img alt='Logo'></h1><h1>B</h1>").as_deref(), Some("Logo"));
    assert_eq!(title("<article><header><h1>In</h1></header>x</article>").as_deref(), Some("In"));
    assert_eq!(title("<h1>A <a href=https://a.cn>b</a><br>c<button>Copy</button></h1>x").as_deref(), Some("A b c"));
    assert_eq!(whole("<h1><svg>i</svg>A</h1>x"), Page { title: Some("A".into()), text: "x".into() });
    assert_eq!(title("<svg><title>Icon</title></svg>x"), None);
    // The heading that is the title is not said again, the others are.
    let page = whole("<body><h1><!-- x -->A</h1>b<h1>C</h1>d");
    assert_eq!((page.title.as_deref(), page.text.as_str()), (Some("A"), "b\n\n## C\n\nd"));
}

#[test]
fn the_longest_article_is_the_page() {
    let page = whole("<article>card</article><article>the story<article>a comment</article></article><article>card</article>");
    assert_eq!(page.text, "the story\na comment");
    assert_eq!(whole("<p>before<main>in</main>after").text, "in");
    assert_eq!(whole("<body>a</body>").text, "a");
}

/// Nothing may take time by the square of its length, or recurse: in the slowest build these take less than a second each.
#[test]
fn ten_thousand_levels_and_ten_megabytes_of_garbage_are_survived() {
    let begun = Instant::now();
    for tag in [
        "<div>",
        "<ul><li>",
        "<b>",
        "<table><tr><td>",
        "<font color=1><p>",
        "<a href=https://a.cn>x",
        "<h1>",
        "<svg>",
        "<main>",
        "<nav><h1>x</h1>",
    ] {
        let deep = tag.repeat(10_000) + "end";
        assert!(whole(&deep).text.contains("end") || whole(&deep).title.is_some(), "{tag}");
    }
    let garbage = [
        "<",
        "</",
        "<!--",
        "<p",
        "<p x=\"",
        "&",
        "&#",
        "<ul><li>",
        "</div>",
        "\u{0}",
        "<nav>",
        "</nav>",
        "<script>",
        "<h1>",
        "甲",
        "<td>",
        "<a href=x>",
    ];
    for piece in garbage {
        whole(&piece.repeat((1 << 20) / piece.len()));
    }
    let mut seed = 7u64;
    let mut mixed = String::new();
    while mixed.len() < 10 << 20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mixed.push_str(garbage[(seed >> 33) as usize % garbage.len()]);
        mixed.push(char::from((seed >> 40) as u8));
    }
    whole(&mixed);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn any_page_is_read(html in "(<|>|</|<!--|-->|\"|=|&|;|#|[a-c甲 \n]|<p>|</p>|<h1>|</h1>|<ul>|<li>|</ul>|<td>|<tr>|<table>|</table>|<main>|</main>|<nav>|</nav>|<pre>|</pre>|<a href=https://a>|</a>|<script>|<form>|</form>|<article>){0,80}") {
        let found = page(&html, Some("https://a.cn/b"));
        prop_assert_eq!(found.text.trim_end(), &found.text);
        text(&html, None);
    }

    #[test]
    fn plain_words_come_through(words in prop::collection::vec("[a-z甲]{1,8}", 1..20)) {
        let html: String = words.iter().map(|w| format!("<div><p>{w}</p></div>")).collect();
        let found = text(&html, None);
        prop_assert_eq!(found.split_whitespace().collect::<Vec<_>>(), words);
    }
}
