//! Evaluation: predictions in, figures with their n out, as JSON for programs and as Markdown and HTML for people; and what is to be
//! learned from the messages that were recorded.
//!
//! Pure but for reading and writing report folders. Everything random is drawn from a fixed seed: the same predictions give the same report.

mod bootstrap;
mod compare;
mod drift;
mod format;
mod informative;
mod prediction;
mod replies;
mod report;
mod resolve;
mod retrieval;
mod spans;

pub use bootstrap::Interval;
pub use compare::{CompareError, Comparison, Difference, Differences, Disagreement, McNemar, Outcomes, Verdict, compare};
pub use drift::{DriftReport, DriftVerdict, EmbeddingDrift, Measured, Profile, drift, embedding_drift, for_each_word};
pub use format::{p_value, percent, points, short, thousands};
pub use informative::{Candidate, Informative, Likeness, Pool, most_informative};
pub use prediction::{PREDICTIONS, Prediction, PredictionError, Said, predict, read_predictions, write_predictions};
pub use replies::{KindFigures, ReplyMetrics, ReplyOutcome, RiskPoint};
pub use report::{
    CurvePoint, Figures, Fold, Header, Metrics, ReportError, curve_markdown, folds_markdown, learning_curve_svg, markdown, page,
    training_markdown, training_page, write_report, write_training,
};
pub use resolve::{ResolveError, ResolveMetrics, ResolveOutcome, Share, scaled};
pub use retrieval::{Space, pair_auc, places, recall};
pub use spans::{SpanError, SpanReport};
