//! The drift report for people.

use super::{ConfidenceDrift, DriftReport, DriftVerdict, ENOUGH, KS_LIMITS, MIX_LIMITS, UNSEEN_LIMITS};

/// Labels shown to people; JSON has them all.
const SHOWN: usize = 10;

impl DriftReport {
    /// The report for people.
    pub fn markdown(&self) -> String {
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let mut out = format!(
            "# Drift: {}\n\n{} recorded messages against {} training messages. A figure is judged from {ENOUGH} messages on.\n\n\
             | what | verdict | figure | stable below | drifted from |\n|---|---|---|---|---|\n",
            self.verdict.as_str(),
            self.messages,
            self.training_messages,
        );
        let mut row = |what: &str, verdict: DriftVerdict, figure: String, limits: [f64; 2], chance: f64| {
            let [low, high] = limits.map(|l| l.max(chance));
            out += &format!("| {what} | {} | {figure} | {low:.2} | {high:.2} |\n", verdict.as_str());
        };
        for (what, mix) in [("labels", &self.labels), ("languages", &self.languages)] {
            let figure = format!("PSI {:.3} (Jensen-Shannon {:.3})", mix.psi, mix.jensen_shannon);
            row(what, mix.verdict, figure, MIX_LIMITS, mix.psi_by_chance);
        }
        let words = &self.vocabulary;
        let more = 100.0 * (words.unseen - words.unseen_by_chance);
        let figure =
            format!("{} of the words unseen ({more:+.1} points against training messages among themselves)", percent(words.unseen));
        row("vocabulary", words.verdict, figure, UNSEEN_LIMITS, 0.0);
        let numbers = self.lengths.iter().map(|(lang, n)| (format!("length, {lang}"), n, 0));
        let numbers = numbers.chain(self.confidence.iter().map(|c| ("confidence".to_owned(), &c.number, 3)));
        let numbers = numbers.chain(self.embedding.iter().map(|e| ("nearest training message".to_owned(), &e.nearest, 3)));
        for (what, n, digits) in numbers {
            let figure = format!("KS {:.3} (mean {:.digits$}, was {:.digits$})", n.ks, n.mean_now, n.mean_before);
            row(&what, n.verdict, figure, KS_LIMITS, n.ks_by_chance);
        }
        if let Some(ConfidenceDrift { threshold: Some(t), below_before: Some(before), below_now: Some(now), .. }) = self.confidence {
            out += &format!(
                "\n{} of the messages are below the policy's confidence of {t:.2}; of validation {}.\n",
                percent(now),
                percent(before)
            );
        }
        if let Some(e) = &self.embedding {
            let [now, training] = e.encoded;
            out += &format!(
                "\nMean vectors: cosine distance {:.5}, by chance about {:.5} ({now} and {training} messages encoded).\n",
                e.mean_distance, e.mean_distance_by_chance
            );
        }
        for skipped in &self.skipped {
            out += &format!("\nNot measured: {skipped}.\n");
        }
        for (title, mix) in [("Labels", &self.labels), ("Languages", &self.languages)] {
            out += &format!("\n## {title}\n\n| {} | training | recorded | adds to PSI |\n|---|---|---|---|\n", title.to_lowercase());
            for k in mix.kinds.iter().take(SHOWN) {
                out += &format!("| {} | {} | {} | {:.3} |\n", k.kind, percent(k.before), percent(k.now), k.psi);
            }
        }
        if !words.new_terms.is_empty() {
            out += "\n## New terms\n\n| term | messages |\n|---|---|\n";
            for (term, messages) in &words.new_terms {
                out += &format!("| {} | {messages} |\n", term.replace('|', "\\|"));
            }
        }
        out
    }
}
