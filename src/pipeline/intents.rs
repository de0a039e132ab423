//! The intent of a message: the fast path where it settles the matter, the encoder where it does not.

use std::sync::Arc;

use super::{ALTERNATIVES, Pipeline, PipelineError, Seats, language};
use crate::classify::{Classifier, Encoding};
use crate::domain::{Intent, Lang, Mode};
use crate::embed::{Arithmetic, Branch, EncodeError, Encoded, Role, SentenceEncoder, Wanted};
use crate::text::{Normalized, normalize};

/// A classifier with the branch that it asks for, ready to run.
#[derive(Clone)]
pub struct IntentModel {
    pub classifier: Arc<dyn Classifier>,
    /// Which vector the full path wants; `None` where there is no full path.
    wanted: Option<Wanted>,
}

impl IntentModel {
    /// # Errors
    /// When the classifier's branch cannot be read, or stands on another trunk.
    pub fn new(classifier: Arc<dyn Classifier>, arithmetic: Arithmetic) -> Result<Self, EncodeError> {
        let wanted = match classifier.encoding() {
            Encoding::None => None,
            Encoding::Sentence => Some(Wanted::sentence()),
            Encoding::Branch(file) => Some(Wanted { branch: Some(Arc::new(Branch::parse(&file, arithmetic)?)), ..Wanted::default() }),
        };
        Ok(IntentModel { classifier, wanted })
    }

    /// Name and version for the answer's `models`.
    pub fn version(&self) -> &str {
        self.classifier.version()
    }

    /// Which vectors the full path wants; `None` where there is no full path.
    pub(super) fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }

    /// Which vectors to ask for when the text is to be compared, too.
    pub(super) fn wanted_and_compared(&self) -> Wanted {
        Wanted { compared: true, aligned: true, ..self.wanted.clone().unwrap_or_default() }
    }

    /// By the sparse terms alone, all labels.
    pub fn fast(&self, clean: &Normalized, lang: Lang) -> Intent {
        self.classifier.classify(clean, lang, None, usize::MAX)
    }

    /// With the encoder's vectors, all labels; the fast path's answer where the classifier has no other.
    pub fn full(&self, clean: &Normalized, lang: Lang, encoded: &Encoded) -> Intent {
        let vector = match &self.wanted {
            Some(Wanted { branch: Some(_), .. }) => encoded.branch.as_deref(),
            Some(_) => encoded.sentence.as_deref(),
            None => None,
        };
        self.classifier.classify(clean, lang, vector, usize::MAX)
    }

    /// The vector that the full path wants of a text; empty where it wants none.
    ///
    /// # Errors
    /// The encoder's.
    pub async fn vector(&self, encoder: &dyn SentenceEncoder, text: &str) -> Result<Vec<f32>, EncodeError> {
        let Some(wanted) = &self.wanted else { return Ok(Vec::new()) };
        let encoded = encoder.encode(text, Role::Query, wanted.clone()).await?;
        Ok(encoded.branch.or(encoded.sentence).unwrap_or_default())
    }

    /// Whether a fast answer may stand alone where this precision is asked for.
    ///
    /// Its own probability must reach it. The threshold that gives all answers above it this precision on average would not do: it lets
    /// doubtful ones through among the sure ones, although the encoder is there to be asked.
    pub fn settles(&self, intent: &Intent, precision: f64) -> bool {
        self.wanted.is_none() || f64::from(intent.confidence) >= precision
    }
}

/// A text as the classifier and the encoder see it.
pub struct ReadText {
    pub lang: Lang,
    pub clean: Normalized,
    /// All labels.
    pub intent: Intent,
    /// The vector that it is compared by.
    pub compared: Arc<[f32]>,
    /// The states of its tokens, as [`Encoded::aligned`](crate::embed::Encoded::aligned).
    pub aligned: Arc<[f32]>,
}

impl Pipeline {
    /// The intent alone; the seats are the caller's, so that all texts of a request are judged by the same model. In mode `auto`
    /// the encoder is asked only where the fast path's probability does not reach the policy's precision.
    ///
    /// # Errors
    /// [`PipelineError::Overloaded`] when the encoder's queue is full. Where the encoder fails otherwise, the fast path answers.
    pub async fn classify(&self, seats: &Seats, text: &str, lang: Option<Lang>, mode: Mode) -> Result<(Lang, Intent), PipelineError> {
        let model = seats.champion();
        let clean = normalize(text);
        let lang = lang.unwrap_or_else(|| language(&clean));
        let fast = model.fast(&clean, lang);
        let done = match mode {
            Mode::Fast => true,
            Mode::Auto => model.settles(&fast, self.policy.load().precision.intent),
            Mode::Full => model.wanted.is_none(),
        };
        let mut intent = match &model.wanted {
            Some(wanted) if !done => match self.encoder.encode(text, Role::Query, wanted.clone()).await {
                Ok(encoded) => model.full(&clean, lang, &encoded),
                Err(e @ EncodeError::Overloaded { .. }) => return Err(e.into()),
                Err(e) => {
                    tracing::error!(error = %e, "the encoder failed; the fast path answers");
                    fast
                }
            },
            _ => fast,
        };
        seats.observe(text, lang, &intent);
        intent.alternatives.truncate(ALTERNATIVES);
        Ok((lang, intent))
    }

    /// Language, intent on the full path and the vector that a text is compared by, in one pass of the encoder.
    ///
    /// # Errors
    /// The encoder's.
    pub async fn read(&self, text: &str, lang: Option<Lang>) -> Result<ReadText, PipelineError> {
        let model = self.lineup.champion();
        let clean = normalize(text);
        let lang = lang.unwrap_or_else(|| language(&clean));
        let encoded = self.encoder.encode(text, Role::Query, model.wanted_and_compared()).await?;
        let intent = model.full(&clean, lang, &encoded);
        let (compared, aligned) = (encoded.compared.unwrap_or_default().into(), encoded.aligned.unwrap_or_default().into());
        Ok(ReadText { lang, clean, intent, compared, aligned })
    }
}
