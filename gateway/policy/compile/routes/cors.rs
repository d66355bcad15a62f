//! Which pages in browsers may ask.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use terms::{Finding, Findings, Span};
use yaml::At;

use super::{Reader, Slot};
use crate::compile::names::{parse, shown};
use crate::cors::{Cors, Credentials, Origin, methods};
use crate::fields::FieldRules;
use crate::file::CorsEntry;
use crate::method::{METHODS, Methods};
use crate::pattern::{HostPattern, Pattern};
use crate::route::Access;

const MAX_AGE: Duration = Duration::from_secs(600);

/// What is known of a route when its `cors` is read.
pub(super) struct Around<'r> {
    pub(super) pattern: &'r Pattern,
    pub(super) access: &'r Access,
    pub(super) allow: &'r [Slot],
    pub(super) limits: &'r [usize],
    pub(super) response_fields: &'r FieldRules,
}

impl Reader<'_> {
    pub(super) fn cors(&self, written: &CorsEntry, route: &Around<'_>, findings: &mut Findings) -> Option<Cors> {
        let CorsEntry { origins, methods: listed, headers, expose, credentials, max_age } = written;
        let parsed = self.origins(origins, route.pattern, findings);
        let credentials = match credentials {
            Some(At { value: true, .. }) => Credentials::Allowed,
            Some(At { value: false, .. }) | None => Credentials::Omitted,
        };
        if let (Credentials::Allowed, Some(any)) = (credentials, origins.value.iter().find(|at| at.as_str() == "*")) {
            let finding = Finding::error(self.place(any), "every page there is could act as whoever looks at it");
            findings.push(finding.help("list the origins, or take `credentials` away"));
        }
        let taken = methods(|method| method != "OPTIONS" && takes(route, method));
        let methods = listed.as_ref().map_or(taken, |listed| self.asked_methods(listed, route, findings));
        let headers = match headers {
            Some(names) => self.cors_names(names, findings),
            None => vec![header::AUTHORIZATION, header::CONTENT_TYPE],
        };
        let max_age = max_age.as_ref().map_or(Some(Span(MAX_AGE)), |text| parse(self.file, text, findings));
        for (name, _) in &route.response_fields.set {
            if name.as_str().starts_with("access-control-") {
                let finding = Finding::error(self.place(origins), format!("`response_headers` sets `{name}`, too"));
                findings.push(finding.help("`cors` writes all that begin with Access-Control"));
            }
        }
        let exposed = self.cors_names(expose, findings);
        let exposed: Vec<&str> = exposed.iter().map(HeaderName::as_str).collect();
        let rules = self.limits;
        Some(Cors {
            preflight: Cors::preflight_parts(methods, &headers, max_age?.0),
            origins: parsed,
            methods,
            headers,
            credentials,
            expose: (!exposed.is_empty()).then(|| HeaderValue::from_str(&exposed.join(", ")).ok()).flatten(),
            limits: route.limits.iter().copied().filter(|limit| rules.counts_without_caller(*limit)).collect(),
        })
    }

    fn origins(&self, written: &At<Vec<At<String>>>, pattern: &Pattern, findings: &mut Findings) -> Vec<Origin> {
        let mut origins: Vec<Origin> = Vec::with_capacity(written.value.len());
        for text in &written.value {
            let origin = match Origin::parse(text.as_str()) {
                Ok(origin) => origin,
                Err(error) => {
                    findings.push(Finding::error(self.place(text), format!("`{}`: {error}", shown(text.as_str()))));
                    continue;
                }
            };
            if matches!(origin, Origin::Tenant(..)) && !matches!(pattern.host, HostPattern::Tenant(_)) {
                let finding =
                    Finding::error(self.place(text), "the host of this route names no tenant to compare with");
                findings.push(finding.help("write `{tenant}` into `host` under `match`"));
            }
            if origin.is_plain() {
                let message = "whoever is on the way to this page can speak for it";
                findings.push(Finding::warning(self.place(text), message).help("write `https`"));
            }
            if origins.contains(&origin) {
                findings.push(Finding::error(self.place(text), "this origin stands here twice"));
            }
            origins.push(origin);
        }
        if written.value.is_empty() {
            let finding = Finding::error(self.place(written), "`cors` without an origin allows no page anything");
            findings.push(finding.help("leave `cors` out, or name the origins"));
        } else if origins.contains(&Origin::Any) && written.value.len() > 1 {
            findings.push(Finding::error(self.place(written), "`*` is every origin, so the others say nothing"));
        }
        origins
    }

    fn asked_methods(&self, written: &At<Vec<At<String>>>, route: &Around<'_>, findings: &mut Findings) -> Methods {
        let mut set = Methods::NONE;
        for method in &written.value {
            let Some(index) = self.method(method, findings) else { continue };
            if !METHODS.get(index).is_some_and(|method| takes(route, method)) {
                findings
                    .push(Finding::error(self.place(method), format!("this route does not take `{}`", method.value)));
            }
            set = set.with(index);
        }
        if written.value.is_empty() {
            let finding = Finding::error(self.place(written), "`cors` without a method allows no page anything");
            findings.push(finding.help("leave `methods` out for all that the route takes"));
        }
        set
    }

    fn cors_names(&self, written: &[At<String>], findings: &mut Findings) -> Vec<HeaderName> {
        let mut names = Vec::with_capacity(written.len());
        for name in written {
            let plain = name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            match HeaderName::from_bytes(name.value.as_bytes()).ok().filter(|_| plain) {
                Some(name) => names.push(name),
                None => {
                    let message = format!("`{}` is not the name of a field", shown(name.as_str()));
                    findings.push(Finding::error(self.place(name), message).help("list the names; `*` is none"));
                }
            }
        }
        names
    }
}

/// Whether requests with this method come to the route and can be allowed there.
fn takes(route: &Around<'_>, method: &str) -> bool {
    let granted = match route.access {
        Access::Public => true,
        Access::Guarded { .. } | Access::Services { .. } => route.allow.iter().any(|slot| match slot {
            Slot::Method(index) => METHODS.get(*index) == Some(&method),
            Slot::Other => true,
        }),
    };
    granted && route.pattern.takes(method)
}
