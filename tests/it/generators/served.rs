//! A client of servers that speak OpenAI's chat protocol, beside servers that do and servers that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use fenzhen::reply::{Finish, GenerateError, Generator, ServedGenerator, ServedGeneratorSettings};
use tokio::sync::mpsc;

use super::request;

/// What the server says to its first, second, ... request; the last again and again.
type Script = Arc<(Vec<(u16, &'static str)>, AtomicUsize)>;

async fn server(script: Vec<(u16, &'static str)>) -> (ServedGenerator, Script) {
    async fn answer(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> Response {
        let asked: serde_json::Value = serde_json::from_slice(&body).expect("as scripted");
        assert_eq!((&asked["model"], asked["messages"].as_array().expect("as scripted").len()), (&"m".into(), 2));
        assert_eq!(headers["authorization"], "Bearer key");
        let n = script.1.fetch_add(1, Ordering::SeqCst);
        let (status, body) = script.0[n.min(script.0.len() - 1)];
        if body == "hang" {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        (StatusCode::from_u16(status).expect("as scripted"), body).into_response()
    }
    let script: Script = Arc::new((script, AtomicUsize::new(0)));
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("as scripted");
    let url = format!("http://{}/v1/", listener.local_addr().expect("as scripted"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (ServedGenerator::new(ServedGeneratorSettings { url, api_key: Some("key".into()), model: "m".into() }), script)
}

const STREAM: &str = ": warm\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"你\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"好\"},\"finish_reason\":\"length\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
const WHOLE: &str =
    "{\"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";

#[tokio::test]
async fn an_answer_is_streamed_or_comes_whole() {
    let (generator, _) = server(vec![(200, STREAM), (200, WHOLE)]).await;
    let (pieces, mut stream) = mpsc::channel(10);
    let answer = generator.generate(request("hello", 20), Some(pieces)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish, answer.prompt_tokens, answer.generated_tokens), ("你好", Finish::Length, 7, 2));
    assert_eq!((stream.recv().await, stream.recv().await, stream.recv().await), (Some("你".into()), Some("好".into()), None));
    let whole = generator.generate(request("hello", 20), None).await.unwrap();
    assert_eq!((whole.text.as_str(), whole.finish, generator.name()), ("Hi", Finish::Stop, "m"));
}

#[tokio::test]
async fn what_may_pass_is_tried_once_more_and_what_stays_says_what_to_do() {
    let (generator, script) = server(vec![(503, "loading"), (200, STREAM)]).await;
    assert_eq!(generator.generate(request("hello", 20), None).await.unwrap().text, "你好");
    assert_eq!(script.1.load(Ordering::SeqCst), 2);
    for (status, body, expected, calls) in [
        (401, "no", "check reply.served_api_key", 1),
        (404, "no", "check reply.served_url", 1),
        (429, "slow down", "HTTP 429: slow down", 2),
        (200, "<html>welcome</html>", "no chat completion", 1),
        (200, "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n", "broke off", 2),
        (200, "", "broke off", 2),
    ] {
        let (generator, script) = server(vec![(status, body)]).await;
        let fault = generator.generate(request("hello", 20), None).await.unwrap_err().to_string();
        assert!(fault.contains(expected), "{status} {body}: {fault}");
        assert_eq!(script.1.load(Ordering::SeqCst), calls, "{status} {body}");
    }
}

#[tokio::test]
async fn a_server_that_fails_again_and_again_is_left_alone() {
    let (generator, script) = server(vec![(400, "no")]).await;
    for _ in 0..3 {
        assert!(matches!(generator.generate(request("hello", 20), None).await, Err(GenerateError::Model(_))));
    }
    assert!(matches!(generator.generate(request("hello", 20), None).await, Err(GenerateError::Resting { .. })));
    assert_eq!(script.1.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let (generator, _) = server(vec![(200, "hang")]).await;
    let mut late = request("hello", 20);
    late.deadline = Instant::now() + Duration::from_millis(300);
    let begun = Instant::now();
    assert_eq!(generator.generate(late, None).await.unwrap_err(), GenerateError::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn choices_are_read_from_the_probabilities_that_a_server_tells() {
    const LOGPROBS: &str = "{\"choices\":[{\"message\":{\"content\":\"Yes\"},\"logprobs\":{\"content\":[{\"token\":\"Yes\",\"logprob\":-0.1,\"top_logprobs\":[\
        {\"token\":\"Yes\",\"logprob\":-0.2231},{\"token\":\" No\",\"logprob\":-1.6094},{\"token\":\"Maybe\",\"logprob\":-3}]}]}}]}";
    let (generator, _) = server(vec![(200, LOGPROBS), (200, WHOLE)]).await;
    let shares = generator.choose(request("?", 1), vec!["Yes".into(), "No".into()]).await.unwrap();
    assert!((shares[0] - 0.8).abs() < 1e-3 && (shares[1] - 0.2).abs() < 1e-3, "{shares:?}");
    let silent = generator.choose(request("?", 1), vec!["Yes".into(), "No".into()]).await.unwrap_err().to_string();
    assert!(silent.contains("logprobs"), "{silent}");
}
