//! The encoder on real weights: parity of its arithmetics, batching, cutting, and a worker that refuses instead of waiting.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use fenzhen::classify::Cascade;
use fenzhen::corpus::{Example, read_jsonl};
use fenzhen::embed::comparing::Comparing;
use fenzhen::embed::{Arithmetic, Branch, EncodeError, Encoder, EncoderWorker, Role, SentenceEncoder, Wanted, WorkerConfig};

use crate::support::{RUNTIME, load_encoder, root};

static REFERENCE: LazyLock<Encoder> = LazyLock::new(|| load_encoder(Arithmetic::Float));
static BEST: LazyLock<Encoder> = LazyLock::new(|| load_encoder(Arithmetic::Auto));

/// Two hundred messages spread over the validation set, both languages.
fn messages() -> Vec<String> {
    let rows: Vec<Example> = read_jsonl(&root().join("datasets/intents/valid.jsonl")).expect("the corpus");
    let step = rows.len() / 200;
    rows.into_iter().step_by(step.max(1)).take(200).map(|row| row.text).collect()
}

fn tokens(encoder: &Encoder, texts: &[String]) -> Vec<Vec<u32>> {
    texts.iter().map(|text| encoder.tokenize(text, Role::Query).expect("tokens")).collect()
}

fn in_batches(encoder: &Encoder, texts: &[String], size: usize) -> Vec<Vec<f32>> {
    tokens(encoder, texts).chunks(size).flat_map(|batch| encoder.encode(batch).expect("vectors")).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[track_caller]
fn assert_near(a: &[Vec<f32>], b: &[Vec<f32>], least: f32, what: &str) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((cosine(a, a) - 1.0).abs() < 1e-3, "{what}, text {i}: no unit vector");
        assert!(cosine(a, b) >= least, "{what}, text {i}: cosine {}", cosine(a, b));
    }
}

#[test]
fn every_arithmetic_of_this_cpu_agrees_with_the_plain_f32_pass() {
    let texts = messages();
    assert_eq!(texts.len(), 200);
    assert!(texts.iter().any(|t| t.is_ascii()) && texts.iter().any(|t| !t.is_ascii()), "both languages");
    let reference = in_batches(&REFERENCE, &texts, 20);
    assert_near(&in_batches(&BEST, &texts, 20), &reference, 0.999, "auto");
    // `Int8` is asked for by name nowhere but where the CPU multiplies bytes; there it is what `Auto` takes.
    let blocks = load_encoder(Arithmetic::Blocks);
    assert_near(&in_batches(&blocks, &texts, 20), &reference, 0.999, "blocks");
    if byte_dot_products() {
        let int8 = load_encoder(Arithmetic::Int8);
        assert_near(&in_batches(&int8, &texts, 20), &reference, 0.999, "int8");
    }
}

#[cfg(target_arch = "x86_64")]
fn byte_dot_products() -> bool {
    (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")) || is_x86_feature_detected!("avxvnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn byte_dot_products() -> bool {
    false
}

#[test]
fn a_text_has_the_same_vector_alone_and_in_a_batch() {
    let mut texts = messages();
    texts.truncate(24);
    texts.push("退".repeat(300));
    let alone = in_batches(&BEST, &texts, 1);
    assert_near(&in_batches(&BEST, &texts, texts.len()), &alone, 0.9999, "one batch");
    texts.reverse();
    let mut reversed = in_batches(&BEST, &texts, 5);
    reversed.reverse();
    assert_near(&reversed, &alone, 0.9999, "other neighbours");
}

#[test]
fn questions_and_passages_are_told_apart() {
    let of = |role| BEST.encode(&[BEST.tokenize("怎么退货", role).expect("tokens")]).expect("a vector").remove(0);
    assert!(cosine(&of(Role::Query), &of(Role::Passage)) < 0.9999);
}

#[test]
fn an_over_long_text_is_cut() {
    let long = "这个快递到底什么时候能到啊".repeat(200);
    let cut = BEST.tokenize(&long, Role::Query).expect("tokens");
    assert_eq!(cut.len(), Encoder::MAX_TOKENS);
    let longer = BEST.tokenize(&(long.clone() + "完全不同的结尾"), Role::Query).expect("tokens");
    assert_eq!(cut, longer);
    assert_eq!(BEST.encode(&[cut]).expect("a vector")[0].len(), BEST.dimension());
}

#[test]
fn an_empty_batch_and_an_empty_text_are_no_faults() {
    assert!(BEST.encode(&[]).expect("no vectors").is_empty());
    let empty = BEST.tokenize("", Role::Query).expect("tokens");
    assert_eq!(BEST.encode(&[empty]).expect("a vector").len(), 1);
}

#[test]
fn ten_megabytes_are_cut_before_they_are_read() {
    for text in ["长文本".repeat(1_200_000), "a".repeat(10_000_000), "a b ".repeat(2_500_000)] {
        let begin = Instant::now();
        let tokens = BEST.tokenize(&text, Role::Query).expect("tokens");
        assert!(tokens.len() <= Encoder::MAX_TOKENS);
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

fn worker(queue: usize) -> EncoderWorker {
    let config = WorkerConfig { queue, batch_tokens: 2048, timeout: Duration::from_secs(60) };
    EncoderWorker::start("test", load_encoder(Arithmetic::Auto), None, config).expect("a worker")
}

/// Polled once: what a full queue says is said without waiting.
async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::future::FutureExt::now_or_never(future)
}

#[test]
fn a_full_queue_refuses_at_once() {
    let worker = worker(2);
    let text = "快递三天没动了，能不能帮我催一下".repeat(20);
    RUNTIME.block_on(async {
        let mut waiting: Vec<_> = Vec::new();
        let mut refused = None;
        // The worker takes what waits into a batch while this goes on; it cannot take as fast as this asks.
        for _ in 0..1_000 {
            let mut future = worker.encode(&text, Role::Query, Wanted::sentence());
            match now(&mut future).await {
                Some(answer) => {
                    refused = Some(answer);
                    break;
                }
                None => waiting.push(future),
            }
        }
        assert!(matches!(refused, Some(Err(EncodeError::Overloaded { capacity: 2 }))), "{refused:?}");
        for vector in futures_util::future::join_all(waiting).await {
            assert_eq!(vector.expect("those who were let in are served").sentence.expect("a vector").len(), worker.dimension());
        }
        assert_eq!(worker.waiting(), 0);
        worker.encode("在吗", Role::Query, Wanted::sentence()).await.expect("there is room again");
    });
}

#[test]
fn callers_who_have_gone_harm_no_others() {
    let worker = worker(64);
    let texts: Vec<String> = (0..32).map(|i| format!("第{i}单什么时候发货")).collect();
    let kept = RUNTIME.block_on(async {
        let mut futures: Vec<_> = texts.iter().map(|text| worker.encode(text, Role::Query, Wanted::sentence())).collect();
        for future in &mut futures {
            assert!(now(future).await.is_none(), "it waits in the queue");
        }
        let kept: Vec<_> = futures.into_iter().enumerate().filter(|(i, _)| i % 2 == 0).map(|(_, future)| future).collect();
        futures_util::future::join_all(kept).await
    });
    let kept: Vec<Vec<f32>> = kept.into_iter().map(|answer| answer.expect("they are served").sentence.expect("a vector")).collect();
    let texts: Vec<String> = texts.into_iter().step_by(2).collect();
    assert_near(&kept, &in_batches(&BEST, &texts, 1), 0.9999, "those who stayed");
    assert_eq!(worker.waiting(), 0);
}

#[test]
fn bulk_encoding_keeps_the_order_of_its_texts() {
    let worker = worker(1);
    let mut texts = messages();
    texts.truncate(40);
    let vectors = worker.encode_bulk(&texts, Role::Query).expect("vectors");
    assert_near(&vectors, &in_batches(&BEST, &texts, 1), 0.9999, "in order");
    assert!(worker.encode_bulk(&[], Role::Query).expect("nothing").is_empty());
}

#[test]
fn texts_are_compared_by_the_branch_that_was_trained_for_it() {
    let trained = Comparing::shipped().expect("the shipped branch");
    let branch = Branch::parse(trained.branch(), Arithmetic::Auto).expect("it fits the trunk");
    let config = WorkerConfig { queue: 8, batch_tokens: 2048, timeout: Duration::from_secs(60) };
    let worker = EncoderWorker::start("test", load_encoder(Arithmetic::Auto), Some(branch), config).expect("a worker");
    let text = "洗完缩了一大圈,只能给娃穿".to_owned();
    let both = Wanted { sentence: true, compared: true, ..Wanted::default() };
    let encoded = RUNTIME.block_on(worker.encode(&text, Role::Query, both)).expect("vectors");
    let (sentence, compared) = (encoded.sentence.expect("as pretrained"), encoded.compared.expect("as compared"));
    // What is indexed meets what is asked, and a classifier on the pretrained vectors sees them unchanged.
    assert!(cosine(&sentence, &compared) < 0.99);
    let texts = [text];
    assert_near(&[compared], &worker.encode_bulk(&texts, Role::Passage).expect("vectors"), 0.9999, "indexed");
    assert_near(&[sentence], &in_batches(&BEST, &texts, 1), 0.9999, "pretrained");
}

#[test]
fn states_of_tokens_are_those_of_the_words_and_the_same_for_a_message_and_for_an_article() {
    let worker = worker(8);
    let encoder = load_encoder(Arithmetic::Auto);
    let texts = ["洗完缩了一大圈,只能给娃穿", "where is my order 8812?"].map(str::to_owned);
    let bulk = worker.aligned_bulk(&texts).expect("states");
    for (text, of_bulk) in texts.iter().zip(bulk) {
        let offsets = encoder.offsets(text, Role::Passage).expect("offsets");
        let marks = |(start, end): &(u32, u32)| start == end;
        assert!(offsets[..3].iter().all(marks) && offsets.last().is_some_and(marks), "{offsets:?}");
        let wanted = Wanted { aligned: true, ..Wanted::default() };
        let states = RUNTIME.block_on(worker.encode(text, Role::Passage, wanted)).expect("states").aligned.expect("wanted");
        assert_eq!((states.len(), of_bulk.len()), ((offsets.len() - 4) * 384, states.len()));
        for row in states.chunks_exact(384) {
            assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-3);
        }
    }
}

#[test]
fn one_pass_gives_everybody_what_they_want() {
    let worker = worker(64);
    let dense = Cascade::shipped().expect("the shipped classifier").dense().cloned().expect("its share of the encoder");
    let branch = |arithmetic| Branch::parse(dense.branch.as_deref().expect("a branch"), arithmetic).expect("a branch");
    let branches = [Arc::new(branch(Arithmetic::Auto)), Arc::new(branch(Arithmetic::Float))];
    let wanted = |sentence, branch: Option<&Arc<Branch>>| Wanted { sentence, branch: branch.cloned(), ..Wanted::default() };
    let text = "怎么退货";
    let wants = [wanted(true, None), wanted(true, Some(&branches[0])), wanted(false, Some(&branches[1])), wanted(false, None)];
    let answers = RUNTIME.block_on(futures_util::future::join_all(wants.map(|w| worker.encode(text, Role::Query, w))));
    let answers: Vec<_> = answers.into_iter().map(|a| a.expect("vectors")).collect();
    let has: Vec<_> = answers.iter().map(|a| (a.sentence.is_some(), a.branch.is_some())).collect();
    assert_eq!(has, [(true, false), (true, true), (false, true), (false, false)]);
    let sentence = in_batches(&BEST, &[text.to_owned()], 1);
    assert_near(&[answers[1].sentence.clone().expect("a vector")], &sentence, 0.9999, "the sentence beside a branch");
    let of_branch = |i: usize| vec![answers[i].branch.clone().expect("a vector")];
    assert_near(&of_branch(1), &of_branch(2), 0.995, "the branch in two arithmetics");
}
