use super::*;

fn corpus() -> RetrievalCorpus {
    let dir = tempfile::tempdir().unwrap();
    let cause = |name: &str, near: &str| {
        let texts: Vec<String> = (0..4).map(|i| format!("\"{name} {i}\"")).collect();
        format!(r#"{{"cause":"{name}","lang":"en","intent":"x","near":{near},"texts":[{}]}}"#, texts.join(","))
    };
    let rows = [cause("a", "\"b\""), cause("b", "null"), cause("c", "\"a\""), cause("d", "\"nobody\""), cause("e", "null")];
    std::fs::write(dir.path().join("causes.jsonl"), rows.join("\n")).unwrap();
    let questions = r#"{"id":"q","lang":"en","answer":"yes","same":["p","r"],"unlike":["s","t"]}"#;
    std::fs::write(dir.path().join("questions.jsonl"), questions).unwrap();
    let recipe: RetrievalRecipe = toml::from_str(
        "name = 'r'\nout = 'out'\nseed = 1\ndata = { causes = ['causes.jsonl'], questions = ['questions.jsonl'] }\nmodel = { held = 3 }",
    )
    .unwrap();
    recipe.check().unwrap();
    RetrievalCorpus::read(&recipe, dir.path()).unwrap()
}

#[test]
fn families_stay_together_and_what_is_held_out_is_never_learned() {
    let corpus = corpus();
    assert_eq!(corpus.texts.len(), 25);
    // a, b and c are one family, d and e one each; of three one is held out.
    assert_eq!(corpus.sources[0].families.iter().map(Vec::len).max(), Some(3));
    let held = corpus.rows(true);
    assert!(!held.is_empty());
    let parts = corpus.parts(3, 3, &mut ChaCha8Rng::seed_from_u64(1));
    assert!(parts.iter().flatten().all(|text| !held.contains(text)));
    // Texts of one part are of one source.
    let questions = corpus.members[1].iter().flatten().copied().collect::<Vec<_>>();
    assert!(parts.iter().all(|p| p.iter().all(|t| questions.contains(t)) || p.iter().all(|t| !questions.contains(t))));
    // An unlike question is alone in its group.
    assert_eq!(corpus.members[1].iter().filter(|m| m.len() == 1).count(), 2);
}

#[test]
fn a_text_that_finds_its_group_counts() {
    let corpus = corpus();
    let rows: Vec<usize> = (0..corpus.texts.len()).collect();
    let own: Vec<Vec<f32>> = corpus.group.iter().map(|&g| (0..20).map(|i| f32::from(u8::from(i == g))).collect()).collect();
    let scores = corpus.scores(&rows, &own);
    assert_eq!((scores["causes"].n, scores["causes"].at_1, scores["questions"].n), (20, 1.0, 3));
    let turned: Vec<Vec<f32>> = own.iter().enumerate().map(|(i, _)| own[(i + 4) % own.len()].clone()).collect();
    assert!(corpus.scores(&rows, &turned)["causes"].at_1 < 1.0);
}
