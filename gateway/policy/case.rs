use terms::{Place, Reason, UpstreamId};

use crate::decide::Decision;
use crate::judge::Question;
use crate::policy::Policy;

/// One test of a policy, compiled.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) place: Place,
    pub(crate) title: String,
    pub(crate) question: Question,
    pub(crate) expected: Expected,
}

#[derive(Debug)]
pub(crate) enum Expected {
    Allow {
        /// By the grant of this role; on a public route by the route.
        by: Option<String>,
        /// From this upstream.
        from: Option<UpstreamId>,
    },
    /// Though no role grants it, by what this role lets whoever says why.
    BreakGlass(Option<String>),
    Deny(Reason),
    /// It passes, since its route is in shadow, and would be refused.
    WouldDeny(Reason),
}

/// How one test of a policy went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaseResult {
    /// Where the test stands.
    pub place: Place,
    /// What it shows.
    pub title: String,
    /// Whether what was expected is what came.
    pub passed: bool,
    /// `allow`, `allow by viewer`, `deny tenant.mismatch`.
    pub expected: String,
    /// Likewise, what came.
    pub got: String,
}

impl Policy {
    /// Runs the tests that stand in the files, through the same look-ups as requests.
    #[must_use]
    pub fn run_cases(&self) -> Vec<CaseResult> {
        self.cases.iter().map(|case| self.run(case)).collect()
    }

    fn run(&self, case: &Case) -> CaseResult {
        let verdict = self.judge(&case.question);
        let rule = verdict.rule().map(crate::RuleId::name);
        let glass = matches!(verdict.decision, Some(Decision::BreakGlass { .. }));
        let allowed_at_all = verdict.reason == Reason::Allowed && verdict.would.is_none();
        let (passed, expected) = match &case.expected {
            Expected::Allow { by, from } => {
                let as_granted = by.is_none() || by.as_deref() == rule;
                let as_placed = from.is_none() || from.as_ref() == verdict.upstream;
                let expected = allowed(by.as_deref(), from.as_ref());
                // What is in order is not what must be justified: a test says which of the two it means.
                (allowed_at_all && !glass && as_granted && as_placed, expected)
            }
            Expected::BreakGlass(by) => {
                let as_granted = by.is_none() || by.as_deref() == rule;
                (allowed_at_all && glass && as_granted, broken(by.as_deref()))
            }
            // What the policy says is the same in shadow, and so are the tests of it.
            Expected::Deny(reason) => (verdict.would.unwrap_or(verdict.reason) == *reason, format!("deny {reason}")),
            Expected::WouldDeny(reason) => (verdict.would == Some(*reason), format!("would deny {reason}")),
        };
        let got = match (verdict.reason, verdict.would, rule) {
            (Reason::Allowed, Some(would), Some(name)) => format!("would deny {would} by {name}"),
            (Reason::Allowed, Some(would), None) => format!("would deny {would}"),
            (Reason::Allowed, None, _) if glass => broken(rule),
            (Reason::Allowed, None, _) => {
                let asked = matches!(&case.expected, Expected::Allow { from: Some(_), .. });
                allowed(rule, verdict.upstream.filter(|_| asked))
            }
            (reason, _, Some(name)) => format!("deny {reason} by {name}"),
            (reason, _, None) => format!("deny {reason}"),
        };
        CaseResult { place: case.place.clone(), title: case.title.clone(), passed, expected, got }
    }
}

/// `break_glass by physician`
fn broken(by: Option<&str>) -> String {
    by.map_or_else(|| "break_glass".to_owned(), |by| format!("break_glass by {by}"))
}

/// `allow by viewer from orders-eu`
fn allowed(by: Option<&str>, from: Option<&UpstreamId>) -> String {
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    format!("allow{by}{from}")
}
