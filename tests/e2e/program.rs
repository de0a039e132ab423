//! The binary, started and watched. Every wait ends with what it waited for, or after [`PATIENCE`].

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The program, in a folder of its own and with no settings from outside but where the models are.
pub fn fenzhen(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenzhen"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("FENZHEN_") && name != "FENZHEN_CACHE" || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(arguments: &[&str]) -> Done {
    finish(fenzhen(arguments).spawn().expect("the program starts"))
}

/// What a run left.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// `error:` with these words, and a `hint:` with those.
    #[track_caller]
    pub fn expect_error(&self, error: &str, hint: &str) {
        let (what, todo) = self.err.split_once("hint:").unwrap_or_else(|| panic!("no hint in {}", self.err));
        assert!(what.contains("error:") && what.contains(error), "{error} in {}", self.err);
        assert!(todo.contains(hint), "{hint} in {}", self.err);
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Waits for a program's end while its streams are read.
pub fn finish(mut child: Child) -> Done {
    let read = |stream: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                stream.read_to_end(&mut bytes).expect("a stream");
            }
            bytes
        })
    };
    let out = read(child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>));
    let err = read(child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>));
    let status = wait(&mut child);
    Output { status, stdout: out.join().expect("a thread"), stderr: err.join().expect("a thread") }.into()
}

pub fn wait(child: &mut Child) -> ExitStatus {
    match until(|| child.try_wait().expect("a status")) {
        Some(status) => status,
        None => {
            let _ = child.kill();
            panic!("the program did not end within {PATIENCE:?}")
        }
    }
}

/// Asks again until there is an answer.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || begin.elapsed() > PATIENCE {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().expect("kill");
    assert!(status.success(), "no signal could be sent");
}

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// A service that runs; it is killed with its test.
pub struct Running {
    pub child: Child,
    pub url: String,
    agent: ureq::Agent,
    log: std::path::PathBuf,
}

impl Running {
    /// Serves `data` on a free port, ready.
    pub fn start(data: &Path, more: &[&str]) -> Self {
        let running = Self::launch(data, more);
        let ready = until(|| running.try_get("/readyz").filter(|answer| answer.0 == 200));
        assert!(ready.is_some(), "not ready:\n{}", running.log());
        running
    }

    /// As [`Self::start`], without waiting until it is ready.
    pub fn launch(data: &Path, more: &[&str]) -> Self {
        let log = data.with_extension("log");
        let stderr = std::fs::File::create(&log).expect("a log");
        let data_text = data.display().to_string();
        let mut command = fenzhen(&["serve", "--listen", "127.0.0.1:0", "--data", &data_text]);
        // A killed service leaves the address of its port behind.
        let address = data.join("serve.url");
        let _ = std::fs::remove_file(&address);
        let mut child = command.args(more).stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
        let url = until(|| {
            if let Some(status) = child.try_wait().expect("a status") {
                panic!("{status}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::fs::read_to_string(&address).ok().filter(|url| !url.is_empty())
        });
        Running { child, url: url.expect("serve.url"), agent: agent(), log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Status and JSON; nothing where nobody answers.
    pub fn try_get(&self, path: &str) -> Option<(u16, Value)> {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call().ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    pub fn try_send(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut response = if method == "PUT" { self.agent.put(url).send(body) } else { self.agent.post(url).send(body) }.ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    #[track_caller]
    pub fn triage(&self, text: &str) -> Value {
        let (status, body) = self.try_send("POST", "/v1/triage", &json!({ "text": text }).to_string()).expect("an answer");
        assert_eq!(status, 200, "{body:#}");
        body
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        signal(&self.child, "TERM");
        wait(&mut self.child)
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        wait(&mut self.child);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Stopped already, or the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
