//! A branch learns, repeats itself bit for bit, and goes on after an interruption as if there had been none.

use std::sync::LazyLock;

use fenzhen::embed::tuning::{Cached, Checkpoint, Labelled, Tuned, Tuning, TuningNews, TuningParameters, tune};
use fenzhen::embed::{Arithmetic, Branch, Role};
use fenzhen::models::ENCODER_FILE;

use crate::support::{encoder_folder, load_encoder};

const REFUND: [&str; 6] =
    ["把钱退给我", "我要退款", "give me my money back", "refund please", "钱什么时候能还我,不想要了", "I want to be reimbursed"];
const WHERE: [&str; 6] =
    ["快递到哪了", "包裹怎么还没动", "where is my parcel", "has my package left yet", "物流三天没更新", "track my delivery"];

static SET: LazyLock<Cached> = LazyLock::new(|| {
    let texts: Vec<String> = REFUND.iter().chain(&WHERE).map(|t| (*t).to_owned()).collect();
    Cached::of(&load_encoder(Arithmetic::Float), &texts, Role::Query, &|_| ()).expect("states")
});

const ROWS: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const LABELS: [usize; 12] = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];

fn run(seed: u64, checkpoint: Option<&Checkpoint>, news: &mut dyn FnMut(TuningNews)) -> Tuned {
    let parameters = TuningParameters { epochs: 3, batch: 4, ..Default::default() };
    let all = Labelled { set: &SET, rows: &ROWS, labels: &LABELS };
    let weights = encoder_folder().join(ENCODER_FILE);
    let job = Tuning { weights: &weights, train: all, valid: &ROWS, classes: 2, parameters: &parameters, seed, checkpoint };
    tune(job, news).expect("it trains")
}

#[test]
fn a_branch_learns_and_repeats_itself() {
    let mut losses = Vec::new();
    let tuned = run(1, None, &mut |news| {
        if let TuningNews::Step { loss, .. } = news {
            losses.push(loss);
        }
    });
    assert_eq!(losses.len(), 9);
    assert!(losses[8] < losses[0], "{losses:?}");
    assert_eq!(tuned.accuracies.last(), Some(&1.0), "twelve messages are learned by heart");
    assert!(tuned == run(1, None, &mut |_| ()), "the same seed, the same bits");
    assert!(tuned.branch != run(2, None, &mut |_| ()).branch);
    let branch = Branch::parse(&tuned.branch, Arithmetic::Float).expect("a branch");
    for (vector, label) in SET.vectors(&ROWS, |states| branch.pooled(states)).expect("vectors").iter().zip(LABELS) {
        let score = |l: usize| tuned.bias[l] + vector.iter().zip(&tuned.weight[l * vector.len()..]).map(|(a, b)| a * b).sum::<f32>();
        assert!(score(label) > score(1 - label), "what is kept answers as what was trained");
    }
}

#[test]
fn an_interrupted_training_ends_as_an_undisturbed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = Checkpoint { file: folder.path().join("run.checkpoint"), run: "a".into() };
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(1, Some(&checkpoint), &mut |news| {
            if let TuningNews::Step { step: 5, .. } = news {
                panic!("interrupted in the second epoch");
            }
        })
    }));
    assert!(stopped.is_err() && checkpoint.file.exists());
    let mut resumed = None;
    let tuned = run(1, Some(&checkpoint), &mut |news| {
        if let TuningNews::Resumed { epoch } = news {
            resumed = Some(epoch);
        }
    });
    assert_eq!(resumed, Some(1));
    assert!(tuned == run(1, None, &mut |_| ()));
    assert!(!checkpoint.file.exists(), "it has served");
    // Another run's checkpoint is not taken up.
    tuned.save(&checkpoint).expect("it is saved");
    assert!(Tuned::load(&checkpoint).expect("readable") == Some(tuned));
    assert!(Tuned::load(&Checkpoint { run: "b".into(), ..checkpoint }).expect("readable").is_none());
}

#[test]
fn the_mean_of_runs_lies_between_them_and_still_knows_the_labels() {
    let (a, b) = (run(1, None, &mut |_| ()), run(2, None, &mut |_| ()));
    let mean = Tuned::mean(&[a.clone(), b.clone()]).expect("one shape");
    for ((m, a), b) in mean.weight.iter().zip(&a.weight).zip(&b.weight) {
        assert!((m - (a + b) / 2.0).abs() < 1e-6);
    }
    assert!(mean.branch != a.branch && mean.branch.len() == a.branch.len());
    let branch = Branch::parse(&mean.branch, Arithmetic::Float).expect("a branch");
    for (vector, label) in SET.vectors(&ROWS, |states| branch.pooled(states)).expect("vectors").iter().zip(LABELS) {
        let score = |l: usize| mean.bias[l] + vector.iter().zip(&mean.weight[l * vector.len()..]).map(|(a, b)| a * b).sum::<f32>();
        assert!(score(label) > score(1 - label));
    }
    assert!(Tuned::mean(&[]).is_err());
}
