//! What writes replies: the decoder's arithmetic, the engine in process, and a server that speaks OpenAI's protocol.

mod local;
mod served;
mod tiny;

use std::time::{Duration, Instant};

use fenzhen::reply::{Request, Sampling, Speaker, Turn};

fn request(text: &str, max_tokens: usize) -> Request {
    Request {
        turns: vec![Turn::new(Speaker::System, "Answer from the article."), Turn::new(Speaker::User, text)],
        max_tokens,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        deadline: Instant::now() + Duration::from_secs(60),
    }
}
