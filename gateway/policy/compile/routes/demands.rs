//! What a route demands of tokens, besides that they are good.

use std::time::Duration;

use tenancy::Authentication;
use terms::{Binding, Finding, Findings, Span};
use yaml::At;

use super::{Reader, parse};
use crate::compile::words::words;
use crate::file::{GuardEntry, MeansEntry};
use crate::route::Demands;

impl Reader<'_> {
    pub(super) fn demands(&self, guard: &GuardEntry, findings: &mut Findings) -> Demands {
        let GuardEntry { bound_to, dpop_nonce, acr, amr, max_age, .. } = guard;
        let bound_to = bound_to.as_ref().map(|written| self.bound_to(written, findings)).unwrap_or_default();
        let acr = acr.as_ref().map(|written| self.listed(written, &written.value, findings)).unwrap_or_default();
        let (any_of, all_of) = amr.as_ref().map(|written| self.means(written, findings)).unwrap_or_default();
        let max_age = max_age.as_ref().and_then(|written| self.age(written, findings));
        Demands {
            bound_to,
            nonce: dpop_nonce.as_ref().is_some_and(|nonce| nonce.value).into(),
            authentication: Authentication { acr, any_of, all_of, max_age },
        }
    }

    /// A route for services has tokens to make demands of no more than a public one.
    pub(super) fn refuse_demands(&self, guard: &GuardEntry, findings: &mut Findings) {
        let GuardEntry { bound_to, dpop_nonce, acr, amr, max_age, .. } = guard;
        let places = [
            bound_to.as_ref().map(|it| self.place(it)),
            dpop_nonce.as_ref().map(|it| self.place(it)),
            acr.as_ref().map(|it| self.place(it)),
            amr.as_ref().map(|it| self.place(it)),
            max_age.as_ref().map(|it| self.place(it)),
        ];
        for place in places.into_iter().flatten() {
            let finding = Finding::error(place, "no token comes on a route for services");
            findings.push(finding.help("take it away: a certificate is what it asks for"));
        }
    }

    fn bound_to(&self, written: &At<Vec<At<String>>>, findings: &mut Findings) -> Vec<Binding> {
        if written.value.is_empty() {
            let finding = Finding::error(self.place(written), "no token is bound to nothing");
            findings.push(finding.help("leave it out to take tokens as they come"));
        }
        written.value.iter().filter_map(|binding| parse(self.file, binding, findings)).collect()
    }

    fn means(&self, written: &At<MeansEntry>, findings: &mut Findings) -> (Vec<Box<str>>, Vec<Box<str>>) {
        let MeansEntry { any, all } = &written.value;
        let both: Vec<_> = any.iter().chain(all).cloned().collect();
        self.listed(written, &both, findings);
        let words = |written: &[At<String>]| written.iter().map(|word| word.as_str().into()).collect();
        (words(any), words(all))
    }

    fn listed<T>(&self, at: &At<T>, written: &[At<String>], findings: &mut Findings) -> Vec<Box<str>> {
        if written.is_empty() {
            let finding = Finding::error(self.place(at), "nothing is demanded here");
            findings.push(finding.help("leave it out, or write what must be"));
        }
        words(self.file, written, findings)
    }

    fn age(&self, written: &At<String>, findings: &mut Findings) -> Option<Duration> {
        let Span(span) = parse(self.file, written, findings)?;
        if span < Duration::from_secs(1) {
            let finding = Finding::error(self.place(written), "nobody has proven itself within this time");
            findings.push(finding.help("tokens tell whole seconds; write for example `10m`"));
        }
        Some(span)
    }
}
