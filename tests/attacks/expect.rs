//! What a table says of a row, and whether it came true.

use super::arena::Outcome;
use super::smuggling1::EVIL;

/// What is to become of one request.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// One request with this body reaches the backend, as a whole and in one form.
    Passes(&'static str),
    /// Its head reaches the backend, its body never comes to an end there. The log has this reason.
    Broken(&'static str),
    /// Nothing reaches the backend. The log has this reason.
    Refused(&'static str),
}

use Expect::{Broken, Passes, Refused};

impl Expect {
    /// The whole word: tables leave out `request.malformed.`, which nearly all of them have.
    fn reason(self) -> String {
        match self {
            Passes(_) => "allowed".into(),
            Broken(reason) | Refused(reason) => {
                let whole = ["allowed", "auth.", "internal", "policy.", "route.", "tenant.", "upstream."];
                let whole = whole.iter().any(|start| reason.starts_with(start));
                if whole { reason.into() } else { format!("request.malformed.{reason}") }
            }
        }
    }
}

/// What is wrong with an outcome, if anything.
pub fn complaint(outcome: &Outcome, expected: &[Expect]) -> Option<String> {
    let reasons: Vec<String> = expected.iter().map(|expect| expect.reason()).collect();
    let bodies: Vec<_> = outcome
        .arrived
        .iter()
        .map(|request| (request.whole, String::from_utf8_lossy(&request.body).into_owned()))
        .collect();
    let wanted: Vec<_> = expected.iter().filter(|expect| !matches!(expect, Refused(_))).collect();
    let fits = bodies.len() == wanted.len()
        && bodies.iter().zip(wanted).all(|((whole, body), expect)| match expect {
            Passes(wanted) => *whole && *body == wanted.replace("{evil}", EVIL),
            Broken(_) => !whole,
            Refused(_) => false,
        });
    (!fits || outcome.reasons() != reasons).then(|| {
        format!(
            "{}: expected {expected:?}, but the log says {:?}, the backend got {bodies:?}, the client {:?}",
            outcome.name,
            outcome.reasons(),
            String::from_utf8_lossy(&outcome.answer).lines().next().unwrap_or_default(),
        )
    })
}

/// What is laxer about an outcome than a table says of the same attack in another shape, if anything: what was refused
/// there must be refused here, and what broke there must not be whole here.
pub fn laxity(outcome: &Outcome, expected: &[Expect]) -> Option<String> {
    let whole = outcome.arrived.iter().filter(|request| request.whole).count();
    let allowed = expected.iter().filter(|expect| matches!(expect, Passes(_))).count();
    let partly = expected.iter().filter(|expect| !matches!(expect, Refused(_))).count();
    let lax = whole > allowed || outcome.arrived.len() > partly || outcome.records.len() > expected.len();
    lax.then(|| {
        format!(
            "{}: expected no more than {expected:?}, but the log says {:?}, the backend got {:?}",
            outcome.name,
            outcome.reasons(),
            outcome.arrived.iter().map(|request| (request.whole, &request.target)).collect::<Vec<_>>(),
        )
    })
}

/// Fails with everything that is wrong.
pub fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "{} of the table are not so:\n{}", complaints.len(), complaints.join("\n"));
}
