//! A page from the web: redirects by hand, so that a circle is told from a long way; bounded in time and length.
//!
//! Any address that the caller names is asked, private ones among them: who may name addresses is the caller's business.

use std::collections::HashSet;
use std::io::Read;
use std::time::{Duration, Instant};

use super::{ImportError, link};

const MOST_REDIRECTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);
const MOST_BYTES: u64 = 16 << 20;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where the page was, after all redirects.
    pub url: String,
    /// In small letters, without its parameters; empty where the server says nothing.
    pub content_type: String,
    pub bytes: Vec<u8>,
}

/// # Errors
/// No answer within 20 s, none that is a page, more than 5 redirects or redirects in a circle, more than 16 MiB.
pub(super) fn fetch(place: &str) -> Result<Answer, ImportError> {
    let fault = |why: String| ImportError::Web { url: place.to_owned(), why };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("fenzhen/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let deadline = Instant::now() + PATIENCE;
    let mut url = encoded(place.split('#').next().unwrap_or_default());
    let mut seen = HashSet::new();
    loop {
        if !seen.insert(url.clone()) {
            return Err(fault(format!("it redirects in a circle, back to {url}: open it in a browser and name the page itself")));
        }
        if seen.len() > MOST_REDIRECTS + 1 {
            return Err(fault(format!("it redirects more than {MOST_REDIRECTS} times: name the page that it leads to")));
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let request = agent.get(&url).config().timeout_global(Some(left)).build();
        let mut response = request.call().map_err(|e| fault(reason(&e)))?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection() {
            let Some(location) = header("location") else {
                return Err(fault(format!("it answers {status} and does not say where to: name the page that it leads to")));
            };
            let next = link::join(&url, &location).filter(|next| is_web(next));
            url = encoded(&next.ok_or_else(|| fault(format!("it redirects to {location:?}, which is no page of the web")))?);
            continue;
        }
        if !status.is_success() {
            let hint = match status.as_u16() {
                401 | 403 => "it wants a login: export the articles to a file and import that",
                404 | 410 => "there is no such page: check the address",
                _ => "try again later, or export the articles to a file and import that",
            };
            return Err(fault(format!("it answers {status}: {hint}")));
        }
        let content_type = header("content-type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().take(MOST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|e| fault(format!("the answer broke off after {} bytes ({e}): try again", bytes.len())))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(fault(format!("the answer is longer than {} MiB: import its pages one by one", MOST_BYTES >> 20)));
        }
        return Ok(Answer { url, content_type, bytes });
    }
}

/// Whether a place is an address.
pub(super) fn is_web(place: &str) -> bool {
    let has = |scheme: &str| place.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    has("http://") || has("https://")
}

fn reason(fault: &ureq::Error) -> String {
    match fault {
        ureq::Error::Timeout(_) => format!("it gave no answer within {} s: try again later", PATIENCE.as_secs()),
        ureq::Error::HostNotFound => "its host is not known: check the address and the network".to_owned(),
        other => format!("it cannot be reached ({other}): check the address and the network"),
    }
}

/// An address as it goes over the line; people write letters of all scripts into paths.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.trim().bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A server that gives each path its answer, until the test ends.
    fn server(answer: fn(&str) -> String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut buffer = [0; 1024];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
                        _ => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let _ = stream.write_all(answer(path).as_bytes());
            }
        });
        at
    }

    fn page(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn redirect(to: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    fn why(place: &str) -> String {
        fetch(place).unwrap_err().to_string()
    }

    #[test]
    fn redirects_are_followed_to_the_page() {
        let at = server(|path| match path {
            "/a/old" => redirect("../b/%E9%80%80?x=1"),
            "/b/%E9%80%80?x=1" => page("<p>退货</p>"),
            _ => redirect("/a/old"),
        });
        let answer = fetch(&format!("{at}/退#part")).unwrap();
        assert_eq!(answer.url, format!("{at}/b/%E9%80%80?x=1"));
        assert_eq!((answer.content_type.as_str(), answer.bytes.as_slice()), ("text/html", "<p>退货</p>".as_bytes()));
    }

    #[test]
    fn ways_that_end_nowhere_are_named() {
        let at = server(|path| match path {
            "/circle" => redirect("/circle2"),
            "/circle2" => redirect("circle"),
            "/file" => redirect("file:///etc/passwd"),
            "/lost" => "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            "/404" => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            "/403" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            "/short" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc".to_owned(),
            long => redirect(&format!("{long}x")),
        });
        for (path, expect) in [
            ("/circle", "in a circle"),
            ("/long", "more than 5 times"),
            ("/file", "no page of the web"),
            ("/lost", "does not say where to"),
            ("/404", "check the address"),
            ("/403", "login"),
            ("/short", "broke off"),
        ] {
            let why = why(&format!("{at}{path}"));
            assert!(why.contains(expect) && why.contains(path), "{path}: {why}");
        }
        assert!(why("http://127.0.0.1:1/").contains("cannot be reached"));
    }

    #[test]
    fn five_redirects_are_not_too_many() {
        let at = server(|path| if path == "/xxxxx" { page("ok") } else { redirect(&format!("{path}x")) });
        assert_eq!(fetch(&format!("{at}/")).unwrap().bytes, b"ok");
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let at = server(|_| page(&"x".repeat(MOST_BYTES as usize + 1)));
        assert!(why(&at).contains("longer than 16 MiB"));
    }
}
