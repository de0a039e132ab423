use candle_core::{Device, Tensor, Var};

use super::data::{invented, names};
use super::ops::{Likelihood, Neighbours, RowSums, UnitMeans};
use super::recipe::{TaggerEncoderKind, TaggerRecipe};
use super::*;

fn variable(shape: &[usize], seed: u32) -> Var {
    let n = shape.iter().product::<usize>() as u32;
    // Numbers without a pattern, from -1 to 1.
    let value = |i: u32| ((i * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0;
    Var::from_tensor(&Tensor::from_vec((0..n).map(value).collect(), shape, &Device::Cpu).unwrap()).unwrap()
}

/// The gradient of a weighted sum of `f` must be its slope.
fn check(variables: &[&Var], f: impl Fn() -> Tensor) {
    let weights = variable(f().dims(), 9);
    let sum = || (f() * weights.as_tensor()).unwrap().sum_all().unwrap();
    let gradients = sum().backward().unwrap();
    for v in variables {
        let gradient = gradients.get(v).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let start = v.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, gradient) in gradient.iter().enumerate() {
            let at = |d: f32| {
                let mut moved = start.clone();
                moved[i] += d;
                v.set(&Tensor::from_vec(moved, v.shape(), &Device::Cpu).unwrap()).unwrap();
                sum().to_scalar::<f32>().unwrap()
            };
            let slope = (at(0.02) - at(-0.02)) / 0.04;
            assert!((slope - gradient).abs() < 5e-3 * gradient.abs().max(1.0), "{i}: {slope} and {gradient}");
        }
        v.set(&Tensor::from_vec(start, v.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}

#[test]
fn the_heads_operations_have_the_slopes_of_their_values() {
    let x = variable(&[5, 3], 1);
    check(&[&x], || x.apply_op1(UnitMeans { tokens: vec![(0, 2), (1, 2), (0, 0), (2, 5)] }).unwrap());
    check(&[&x], || x.apply_op1(RowSums { rows: vec![vec![0, 4, 4], vec![], vec![1]] }).unwrap());
    check(&[&x], || x.apply_op1(Neighbours { lengths: vec![2, 0, 3] }).unwrap());
    let (scores, ends, between) = (variable(&[4, 5], 2), variable(&[10], 3), variable(&[5, 5], 4));
    let likelihood = || Likelihood { tags: vec![vec![1, 3], vec![], vec![0, 4]], divisor: 2.0 };
    check(&[&scores, &ends, &between], || scores.apply_op3(&ends, &between, likelihood()).unwrap());
}

fn corpus() -> (tempfile::TempDir, TaggerRecipe, TaggerCorpus) {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = ["red", "blue", "green", "pink"]
        .iter()
        .flat_map(|color| ["jacket", "scarf", "mug"].map(|thing| (color, thing)))
        .map(|(color, thing)| {
            let (a, b) = (4 + color.len(), 5 + color.len());
            let end = b + thing.len();
            format!(
                r#"{{"text":"the {color} {thing}","lang":"en","entities":[{{"start":4,"end":{a},"type":"COLOR","text":"{color}"}},{{"start":{b},"end":{end},"type":"PRODUCT","text":"{thing}"}},{{"start":0,"end":3,"type":"OTHER","text":"the"}}]}}"#
            )
        })
        .collect();
    std::fs::write(dir.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let recipe: TaggerRecipe = toml::from_str(
        r#"
        name = "ner"
        out = "out"
        seed = 1
        types = ["PRODUCT", "COLOR"]
        data = { train = "rows.jsonl", valid = "rows.jsonl", test = "rows.jsonl" }
        model = { width = 16, layers = 1, catalogues = [0.0] }
        encoder = { kind = "none" }
        tuning = { epochs = 30, batch = 4, head_learning_rate = 1e-2 }
        "#,
    )
    .unwrap();
    let corpus = TaggerCorpus::read(&recipe, dir.path()).unwrap();
    (dir, recipe, corpus)
}

#[test]
fn a_tagger_learns_its_rows_keeps_what_it_learned_and_is_the_same_again() {
    let (dir, recipe, corpus) = corpus();
    assert_eq!(recipe.encoder.kind, TaggerEncoderKind::None);
    let train = |name: &str| {
        let workplace = Workplace::open(&dir.path().join(name), "run".into()).unwrap();
        train_tagger(&recipe, &corpus, None, &workplace, &|_| {}).unwrap()
    };
    let (a, b) = (train("a"), train("b"));
    assert!(a.meta().scores["test"].f1 > 0.99, "{:?}", a.meta().scores);
    a.save(&dir.path().join("a"), &tagger_card(&a, None)).unwrap();
    b.save(&dir.path().join("b"), &tagger_card(&b, None)).unwrap();
    for file in ["model.json", "vocabulary.txt", "weights.safetensors"] {
        assert_eq!(
            std::fs::read(dir.path().join("a").join(file)).unwrap(),
            std::fs::read(dir.path().join("b").join(file)).unwrap(),
            "{file}"
        );
    }
    let again = TaggerModel::load(&dir.path().join("a")).unwrap();
    let row = &corpus.rows[0];
    let spans = |model: &TaggerModel| model.spans(&row.row.text, &row.normalized, &row.units, &[], Tokens::default());
    assert_eq!(spans(&again).iter().map(|s| (&s.units, s.kind)).collect::<Vec<_>>(), [(&(1..2), 1), (&(2..3), 0)]);
    assert_eq!(spans(&a).len(), 2);
}

#[test]
fn invented_catalogues_hold_their_share_of_the_names() {
    let (_dir, _, corpus) = corpus();
    let names = names(corpus.rows.iter());
    assert_eq!(names.len(), 7);
    assert_eq!(invented(&names, 0.4, 0.0, 1).len(), 3);
    assert_eq!(invented(&names, 0.4, 0.0, 1), invented(&names, 0.4, 0.0, 1));
    assert!(invented(&names, 1.0, 0.0, 1).iter().any(|i| i.product == "mug") && invented(&names, 0.0, 0.0, 1).is_empty());
    let slipped = invented(&names, 1.0, 1.0, 1);
    assert!(slipped.iter().zip(invented(&names, 1.0, 1.0, 1)).all(|(a, b)| *a == b));
    assert!(slipped.iter().any(|i| i.product.len().abs_diff("jacket".len()) <= 1 && i.product != "jacket" && i.product.starts_with('j')));
}
