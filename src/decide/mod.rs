//! The gate: may the machine answer, shall it suggest, or is a human needed?
//!
//! [`decide`] is a pure function of what was understood and found (`Signals`), the shop's rules (`Policy`) and the thresholds that
//! training chose (`Thresholds`). It starts from full automation and every doubt lowers it; nothing raises it again.

mod matching;
mod policy;

pub use matching::{GateArtefact, GateError, MatchFeatures, MatchModel, MatchScores};
pub use policy::{IntentRule, Policy, PolicyError};

use crate::domain::{Action, Decision, Intent, Lang, Reason};

/// What is known of a message when the gate is asked.
#[derive(Debug, Clone, Copy)]
pub struct Signals<'a> {
    pub lang: Lang,
    pub intent: &'a Intent,
    /// A listed word that the message holds.
    pub sensitive: Option<&'a str>,
    pub knowledge: Knowledge,
    /// A part of the search did not answer: there may be a better article.
    pub degraded: bool,
}

/// What the search for an answer brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Knowledge {
    /// It was not asked for (fast mode).
    NotAsked,
    /// It failed or ran out of time.
    Failed,
    /// The calibrated probability that the best article answers the message; 0 where there is none.
    Best(f32),
}

/// Probabilities from which on the policy's precisions hold; `None` where training found none, so nothing passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub intent: Option<f32>,
    pub auto_reply: Option<f32>,
    pub suggest: Option<f32>,
}

/// The action with its reasons, worst first.
pub fn decide(signals: &Signals<'_>, policy: &Policy, thresholds: &Thresholds) -> Decision {
    let mut gate = Gate { action: Action::AutoReply, reasons: Vec::new() };
    let rule = policy.rule(&signals.intent.id);
    let sure = thresholds.intent.is_some_and(|t| signals.intent.confidence >= t);

    if let Some(rule) = rule {
        gate.at_most(rule.at_most, rule.reason);
    }
    if signals.sensitive.is_some() {
        gate.at_most(Action::Handoff, Reason::SensitiveTopic);
    }
    if signals.intent.out_of_scope >= policy.out_of_scope {
        gate.at_most(Action::Handoff, Reason::OutOfScope);
    }
    if !policy.languages.contains(&signals.lang) {
        gate.at_most(Action::Suggest, Reason::PolicyRestriction);
    }
    if !sure {
        gate.at_most(Action::Suggest, Reason::LowConfidence);
    }
    if signals.degraded {
        gate.at_most(Action::Suggest, Reason::ToolFailure);
    }
    let confidence = match signals.knowledge {
        Knowledge::NotAsked => {
            // Nothing was looked for, so nothing can be said; the intent alone may still serve an agent.
            gate.action = gate.action.min(Action::Suggest);
            0.0
        }
        Knowledge::Failed => {
            gate.at_most(Action::Handoff, Reason::ToolFailure);
            0.0
        }
        Knowledge::Best(p) => {
            if thresholds.suggest.is_none_or(|t| p < t) {
                gate.at_most(Action::Handoff, Reason::MissingKnowledge);
            } else if thresholds.auto_reply.is_none_or(|t| p < t) {
                gate.at_most(Action::Suggest, Reason::LowConfidence);
            }
            p
        }
    };
    Decision { action: gate.action, reasons: gate.reasons, confidence, policy: policy.version() }
}

struct Gate {
    action: Action,
    reasons: Vec<Reason>,
}

impl Gate {
    /// Lowers the action and keeps the reason; a reason that lowers nothing further is kept too, since people ask why.
    fn at_most(&mut self, action: Action, reason: Reason) {
        if !self.reasons.contains(&reason) {
            if action < self.action {
                self.reasons.insert(0, reason);
            } else {
                self.reasons.push(reason);
            }
        }
        self.action = self.action.min(action);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Path;
    use proptest::prelude::*;

    const THRESHOLDS: Thresholds = Thresholds { intent: Some(0.6), auto_reply: Some(0.9), suggest: Some(0.4) };

    fn intent(id: &str, confidence: f32, out_of_scope: f32) -> Intent {
        Intent {
            id: id.into(),
            category: "c".into(),
            confidence,
            alternatives: vec![],
            out_of_scope,
            path: Path::Fast,
            evidence: vec![],
            neighbours: vec![],
        }
    }

    fn signals(intent: &Intent, sensitive: bool, knowledge: Knowledge) -> Signals<'_> {
        Signals { lang: Lang::Zh, intent, sensitive: sensitive.then_some("退款"), knowledge, degraded: false }
    }

    #[track_caller]
    fn check(intent: &Intent, sensitive: bool, knowledge: Knowledge, action: Action, reasons: &[Reason]) {
        let decision = decide(&signals(intent, sensitive, knowledge), &Policy::shipped().unwrap(), &THRESHOLDS);
        assert_eq!((decision.action, decision.reasons.as_slice()), (action, reasons));
    }

    #[test]
    fn a_sure_intent_with_a_sure_article_is_answered() {
        check(&intent("shipping_time", 0.95, 0.01), false, Knowledge::Best(0.97), Action::AutoReply, &[]);
    }

    #[test]
    fn doubt_lowers_the_action_and_is_named() {
        let sure = intent("shipping_time", 0.95, 0.01);
        check(&sure, false, Knowledge::Best(0.7), Action::Suggest, &[Reason::LowConfidence]);
        check(&sure, false, Knowledge::Best(0.1), Action::Handoff, &[Reason::MissingKnowledge]);
        check(&sure, true, Knowledge::Best(0.97), Action::Handoff, &[Reason::SensitiveTopic]);
        check(&sure, false, Knowledge::Failed, Action::Handoff, &[Reason::ToolFailure]);
        check(&sure, false, Knowledge::NotAsked, Action::Suggest, &[]);
        check(&intent("shipping_time", 0.3, 0.01), false, Knowledge::Best(0.97), Action::Suggest, &[Reason::LowConfidence]);
        check(&intent("human_agent", 0.9, 0.01), false, Knowledge::Best(0.97), Action::Handoff, &[Reason::CustomerRequest]);
        check(
            &intent("out_of_scope", 0.9, 0.9),
            false,
            Knowledge::Best(0.0),
            Action::Handoff,
            &[Reason::OutOfScope, Reason::MissingKnowledge],
        );
    }

    #[test]
    fn without_thresholds_nothing_is_automatic() {
        let none = Thresholds { intent: None, auto_reply: None, suggest: None };
        let sure = intent("shipping_time", 1.0, 0.0);
        let decision = decide(&signals(&sure, false, Knowledge::Best(1.0)), &Policy::shipped().unwrap(), &none);
        assert_eq!(decision.action, Action::Handoff);
    }

    proptest! {
        #[test]
        fn a_fault_never_raises_automation_and_a_handoff_has_a_reason(
            p in 0.0f32..1.0, oos in 0.0f32..1.0, best in 0.0f32..1.0, sensitive: bool, id in "human_agent|stock|complaint|greeting",
        ) {
            let policy = Policy::shipped().unwrap();
            let intent = intent(&id, p, oos);
            let whole = decide(&signals(&intent, sensitive, Knowledge::Best(best)), &policy, &THRESHOLDS);
            let failed = decide(&signals(&intent, sensitive, Knowledge::Failed), &policy, &THRESHOLDS);
            prop_assert!(failed.action <= whole.action);
            let half = Signals { degraded: true, ..signals(&intent, sensitive, Knowledge::Best(best)) };
            let half = decide(&half, &policy, &THRESHOLDS);
            prop_assert!(half.action <= whole.action && half.action <= Action::Suggest && half.reasons.contains(&Reason::ToolFailure));
            prop_assert!(whole.action != Action::Handoff || !whole.reasons.is_empty());
            prop_assert!(!sensitive || whole.action == Action::Handoff);
        }
    }
}
