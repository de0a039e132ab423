//! The model card that lies beside the weights.

use std::fmt::Write as _;

use crate::ner::TaggerModel;

/// Markdown, for people.
pub fn tagger_card(model: &TaggerModel, encoder: Option<&str>) -> String {
    let meta = model.meta();
    let reads = encoder.filter(|_| meta.encoder).map_or("features alone".to_owned(), |name| {
        format!("the token states of {name}, through its top layers tuned for these tags, and features")
    });
    let mut out = format!(
        "# {}: product tagger\n\nMade by `fenzhen train ner`; do not edit. The recipe stands in `model.json`.\n\n\
         - reads {reads} of the catalogue, the lexicon, the patterns and the words; a conditional random field picks the tags\n\
         - types: {}\n- temperature {:.2}, text pipeline version {}, data sha256 `{}`\n\n## Scores\n\n\
         Exact spans: start, end and type. The catalogue holds the names of the training rows; under `no_catalogue` it is empty. \
         `unseen_brands` counts only the brands that no training row names, while the catalogue lacks them (`absent`), holds them, and holds \
         each with a slip of the keyboard (`misspelt`): read their recall. `valid` was \
         watched while training and the temperature was fitted on it; `test` was looked at in the end.\n\n\
         | set | texts | spans | precision | recall | F1 | ECE of the spans (15 bins) |\n|---|---|---|---|---|---|---|\n",
        meta.name,
        meta.types.join(", "),
        meta.temperature,
        meta.text_version,
        meta.data_hash,
    );
    for (name, s) in &meta.scores {
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {:.1} % | {:.1} % | {:.1} % | {:.3} |",
            s.n,
            s.counts.there,
            100.0 * s.precision,
            100.0 * s.recall,
            100.0 * s.f1,
            s.ece
        );
    }
    if let Some(test) = meta.scores.get("test") {
        out += "\n| type, test | there | found | F1 |\n|---|---|---|---|\n";
        for (kind, counts) in &test.types {
            let _ = writeln!(out, "| {kind} | {} | {} | {:.1} % |", counts.there, counts.found, 100.0 * counts.f1());
        }
    }
    out += "\n## Use and limits\n\nTells products and their attributes in customers' messages and titles. Names that are in the shop's catalogue are \
            found without training; names that are not, by their surroundings, and the probability says how surely. Trained on the rows whose \
            hash stands above, not on your customers': measure it on yours.\n";
    out
}
