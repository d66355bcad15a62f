//! What a record is about, in words that renderings share.

use std::borrow::Cow;

use crate::record::Fields;

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// Something else than the requests: policies, keys, what was taken back.
    Entity,
    /// The life of the log and of the gateway.
    Life,
    /// Who asks could not show who they are.
    Login,
    /// A request that was decided.
    Request,
    /// What a backend says has happened.
    Told,
}

/// How much it matters, as OCSF counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Severity {
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
}

/// What is known of every event.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) about: About,
    pub(crate) severity: Severity,
    /// The reason of a request, the kind of the log's own.
    pub(crate) code: Cow<'a, str>,
    pub(crate) outcome: Outcome,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Failure,
    /// It goes on: its final record comes later.
    Pending,
    Success,
}

impl<'a> Event<'a> {
    pub(crate) fn of(fields: &Fields<'a>) -> Self {
        let code = fields.event();
        match fields.raw("kind") {
            Some("\"event\"") => {
                let is_failure = fields.raw("outcome") == Some("\"failure\"");
                let (outcome, severity) = if is_failure {
                    (Outcome::Failure, Severity::Low)
                } else {
                    (Outcome::Success, Severity::Informational)
                };
                Self { about: About::Told, severity, code, outcome }
            }
            Some(_) => Self::own(code),
            None => Self::request(fields, code),
        }
    }

    fn own(code: Cow<'a, str>) -> Self {
        let (what, verb) = code.rsplit_once('.').unwrap_or((&code, ""));
        let about = match what {
            "log" | "segment" | "audit" | "report" | "checkpoint" => About::Life,
            _ => About::Entity,
        };
        let outcome = if verb == "refused" { Outcome::Failure } else { Outcome::Success };
        let severity = match (what, verb) {
            (_, "refused") | ("log", "gap") => Severity::High,
            ("log", "recovered" | "pruned") | (_, "erased" | "rotated") => Severity::Medium,
            ("policy" | "config" | "keys" | "api_key" | "tokens" | "secret", _) => Severity::Low,
            _ => Severity::Informational,
        };
        Self { about, severity, code, outcome }
    }

    fn request(fields: &Fields<'_>, code: Cow<'a, str>) -> Self {
        let is_final = fields.raw("stage") == Some("\"final\"");
        let is_denied = fields.raw("decision") == Some("\"deny\"");
        let area = code.split('.').next().unwrap_or_default();
        let about = if is_final && is_denied && area == "auth" { About::Login } else { About::Request };
        let is_well = matches!(&*code, "allowed" | "cors.preflight");
        let outcome = match (is_final, is_denied || !is_well) {
            (false, _) => Outcome::Pending,
            (true, true) => Outcome::Failure,
            (true, false) => Outcome::Success,
        };
        let severity = match (area, outcome) {
            // Somebody has gone beyond their roles, and is to be asked about it, whatever came of it.
            _ if fields.raw("break_glass").is_some() => Severity::High,
            (_, Outcome::Success | Outcome::Pending) if fields.raw("would").is_some() => Severity::Low,
            (_, Outcome::Success | Outcome::Pending) => Severity::Informational,
            ("tenant" | "audit" | "internal", _) => Severity::High,
            ("policy" | "upstream" | "response", _) => Severity::Medium,
            ("auth", _) if code.contains("revoked") || code.contains("replayed") => Severity::High,
            _ => Severity::Low,
        };
        Self { about, severity, code, outcome }
    }
}
