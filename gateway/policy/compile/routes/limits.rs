//! Which limits count for a route, and what its requests cost there.

use std::num::NonZeroU32;

use terms::{Finding, Findings};
use yaml::At;

use super::Reader;
use crate::compile::limits::MOST;
use crate::limit::{KeyPart, KeySource};
use crate::pattern::Pattern;
use crate::route::Access;

impl Reader<'_> {
    pub(super) fn route_limits(
        &self,
        written: &[At<String>],
        access: Option<&Access>,
        pattern: Option<&Pattern>,
        findings: &mut Findings,
    ) -> Vec<usize> {
        let mut limits = Vec::with_capacity(written.len());
        for name in written {
            let Some((index, rule)) = self.limits.find(self.file, name, findings) else {
                continue;
            };
            let nobody = access == Some(&Access::Public);
            if rule.is_some_and(|rule| nobody && rule.key.iter().any(KeyPart::needs_caller)) {
                let message = format!("limit `{}` counts by who asks, which a public route does not know", name.value);
                findings.push(
                    Finding::error(self.place(name), message).help("use a limit whose key is `client_ip` or `route`"),
                );
            }
            for place in rule.iter().flat_map(|rule| &rule.key) {
                let KeyPart::Named(place) = place else { continue };
                if let (Some(KeySource::Path(parameter)), Some(pattern)) = (self.limits.sources().get(*place), pattern)
                    && pattern.path.parameter(parameter).is_none()
                {
                    let message =
                        format!("limit `{}` counts by `{{{parameter}}}`, which this path does not have", name.value);
                    findings.push(Finding::error(self.place(name), message));
                }
            }
            if limits.contains(&index) {
                findings.push(Finding::error(self.place(name), "this limit stands here twice"));
            } else {
                limits.push(index);
            }
        }
        if let Some(beyond) = written.get(MOST) {
            findings.push(Finding::error(self.place(beyond), format!("a route has at most {MOST} limits")));
        }
        limits
    }

    /// What a request costs. It must fit into every bucket that there is, or it would never pass.
    pub(super) fn cost(&self, written: Option<&At<u32>>, limits: &[usize], findings: &mut Findings) -> NonZeroU32 {
        let Some(written) = written else { return NonZeroU32::MIN };
        let Some(cost) = NonZeroU32::new(written.value) else {
            let finding = Finding::error(self.place(written), "what costs nothing is not limited");
            findings.push(finding.help("take `limits` away if that is meant"));
            return NonZeroU32::MIN;
        };
        let rules = || limits.iter().filter_map(|index| self.limits.get(*index));
        if !rules().any(|rule| rule.counts_cost()) {
            let finding = Finding::error(self.place(written), "no limit of this route counts what requests cost");
            findings.push(finding.help("limits with a `rate` or a `quota` do"));
        }
        for rule in rules() {
            if let Some(smallest) = rule.smallest().filter(|smallest| *smallest < cost) {
                let message =
                    format!("a request that costs {cost} never fits into the {smallest} that limit `{}` has", rule.id);
                findings
                    .push(Finding::error(self.place(written), message).help(format!("it stands at {}", rule.place)));
            }
        }
        cost
    }
}
