use std::io::{self, Write};

use terms::Reason;

use super::wire::Got;

/// What must become of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The status that the client sees.
    pub status: u16,
    /// The reason that the audit log has: one of these. Where the list is empty, the request may be refused before it is
    /// one (by the HTTP parser, say), so that its answer need not carry a request id to look up.
    pub reasons: &'static [Reason],
}

/// One request of the tour and what became of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it shows, in words.
    pub what: &'static str,
    /// What was sent, shortened.
    pub sent: String,
    /// What must become of it.
    pub expected: Expected,
    /// The status that came back, or what happened instead.
    pub got: Result<u16, String>,
    /// The request's id, as the answer named it.
    pub request_id: Option<String>,
    /// The reason in the audit log; [`settle`] fills it in.
    pub reason: Option<String>,
    /// What is wrong with an answer that has the right status.
    pub complaint: Option<String>,
}

/// Who knows the audit log.
pub trait Look {
    /// The reason that the log has for this request, waiting a little for it if need be: the record of a long answer is
    /// written when the answer ends.
    fn reason(&self, request_id: &str) -> Option<String>;
}

impl Step {
    pub(super) fn noted(
        what: &'static str,
        sent: String,
        expected: Expected,
        got: Result<Got, String>,
        check: impl FnOnce(&Got) -> Option<String>,
    ) -> Self {
        let (status, request_id, complaint) = match got {
            // An answer with another status than expected has nothing in it that was worth a look.
            Ok(got) if got.status != expected.status => (Ok(got.status), got.request_id, None),
            Ok(got) => (Ok(got.status), got.request_id.clone(), check(&got)),
            Err(why) => (Err(why), None, None),
        };
        Self { what, sent, expected, got: status, request_id, reason: None, complaint }
    }

    pub(super) fn broken(what: &'static str, why: String) -> Self {
        let expected = Expected { status: 200, reasons: &[] };
        Self::noted(what, String::new(), expected, Err(why), |_| None)
    }

    /// Whether everything is as it must be: status, reason and content. Before [`settle`], a step whose reason matters is
    /// not.
    #[must_use]
    pub fn ok(&self) -> bool {
        let reasons = self.expected.reasons;
        let reason = || reasons.iter().any(|reason| Some(reason.as_str()) == self.reason.as_deref());
        self.got == Ok(self.expected.status) && self.complaint.is_none() && (reasons.is_empty() || reason())
    }

    /// What came, in a few words.
    fn outcome(&self) -> String {
        let reason = self.reason.as_deref();
        let status = match &self.got {
            Ok(status) => status.to_string(),
            Err(why) => why.clone(),
        };
        if self.ok() {
            return format!("{status} {}", reason.unwrap_or("(refused before it was a request)"));
        }
        let wanted = self.expected.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(" or ");
        let got = match (reason, self.request_id.as_deref()) {
            (Some(reason), _) => format!("{status} {reason}"),
            (None, Some(id)) => format!("{status}, and the log has no reason for {id}"),
            (None, None) => status,
        };
        let complaint = self.complaint.as_ref().map_or_else(String::new, |complaint| format!(": {complaint}"));
        format!("{got}{complaint} (expected {} {wanted})", self.expected.status)
    }
}

/// Looks up the reason of every step that has a request id.
pub fn settle(steps: &mut [Step], log: &impl Look) {
    for step in steps {
        step.reason = step.request_id.as_deref().and_then(|id| log.reason(id));
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ink {
    /// For a terminal.
    Colour,
    /// For a file or a pipe: ASCII alone.
    Plain,
}

/// How many characters of a request are shown.
const SENT: usize = 56;

/// A request in one column: what is too long ends with three dots.
fn shorten(sent: &str) -> String {
    match sent.char_indices().nth(SENT) {
        None => sent.to_owned(),
        Some(_) => sent.chars().take(SENT - 3).chain("...".chars()).collect(),
    }
}

/// Prints a line per step, aligned, and the count.
///
/// # Errors
/// When `out` takes no more.
pub fn print(steps: &[Step], ink: Ink, out: &mut impl Write) -> io::Result<()> {
    let width = |text: fn(&Step) -> &str| steps.iter().map(|step| text(step).chars().count()).max().unwrap_or(0);
    let (what_width, sent_width) = (width(|step| step.what), width(|step| &step.sent).min(SENT));
    for step in steps {
        let mark = match (ink, step.ok()) {
            (Ink::Colour, true) => "\x1b[32m✓\x1b[0m",
            (Ink::Colour, false) => "\x1b[31m✗\x1b[0m",
            (Ink::Plain, true) => "ok  ",
            (Ink::Plain, false) => "FAIL",
        };
        let Step { what, sent, .. } = step;
        let sent = shorten(sent);
        writeln!(out, "{mark} {what:what_width$}  {sent:sent_width$}  {}", step.outcome())?;
    }
    let right = steps.iter().filter(|step| step.ok()).count();
    writeln!(out, "\n{right} of {} steps were as they must be", steps.len())
}
