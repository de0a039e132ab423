//! `fenzhen train retrieval`: the vectors that texts are compared by.

use super::Global;
use super::output::{GREEN, STRONG, line, paint};
use super::train::{Recipe, Teller};
use crate::app::open_training_encoder;
use crate::train::{RetrievalCorpus, RetrievalRecipe, Workplace, read_recipe, train_retrieval};

pub(super) fn train(args: &Recipe, global: &Global) -> anyhow::Result<()> {
    let recipe: RetrievalRecipe = read_recipe(&args.recipe, &args.settings)?;
    recipe.check()?;
    let out = args.out(&recipe.out);
    let corpus = RetrievalCorpus::read(&recipe, &args.base())?;
    let encoder = open_training_encoder(&global.start(None)?)?;
    let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
    let workplace = Workplace::open(&out, run)?;
    let teller = Teller::start();
    let trained = train_retrieval(&recipe, &corpus, &encoder, &workplace, &|news| teller.tell(&news))?;
    teller.finish();
    trained.save(&out)?;
    workplace.close();
    for (source, s) in &trained.meta().scores {
        line(&format!("{source:24} texts {:5}  nearest {:5.1} %  among three {:5.1} %", s.n, 100.0 * s.at_1, 100.0 * s.at_3))?;
    }
    line(&format!("{} {} in {}", paint(GREEN, "✓"), trained.version(), paint(STRONG, out.display())))
}
