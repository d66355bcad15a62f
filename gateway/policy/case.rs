use terms::{Place, Reason};

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
    Allow,
    /// By the grant of this role; on a public route by the route.
    AllowBy(String),
    Deny(Reason),
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
        let (passed, expected) = match &case.expected {
            Expected::Allow => (verdict.reason == Reason::Allowed, "allow".to_owned()),
            Expected::AllowBy(name) => {
                (verdict.reason == Reason::Allowed && rule == Some(name), format!("allow by {name}"))
            }
            Expected::Deny(reason) => (verdict.reason == *reason, format!("deny {reason}")),
        };
        let got = match (verdict.reason, rule) {
            (Reason::Allowed, Some(name)) => format!("allow by {name}"),
            (Reason::Allowed, None) => "allow".to_owned(),
            (reason, Some(name)) => format!("deny {reason} by {name}"),
            (reason, None) => format!("deny {reason}"),
        };
        CaseResult { place: case.place.clone(), title: case.title.clone(), passed, expected, got }
    }
}
