mod access;
mod conditions;
mod cors;
mod demands;
mod digest;
mod echo;
mod fields;
mod limits;
mod mode;
mod promise;
mod upstream;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use tenancy::Registry;
use terms::{ByteCount, Finding, Findings, Permission, Place, RouteId, Span};

use super::conditions::Sheet;
use super::limits::Limits;
use super::names::{Names, parse, shown};
use super::{Known, Written};
use crate::condition::Condition;
use crate::cors::Cors;
use crate::decide::RuleId;
use crate::destination::Destination;
use crate::echo::Echo;
use crate::fields::FieldRules;
use crate::file::{FieldsEntry, MatchEntry, RouteEntry, TimeoutsEntry, UpgradeWord};
use crate::method::{METHODS, Methods};
use crate::pattern::{HostPattern, InvalidPattern, PathPattern, Pattern};
use crate::route::{Access, Asks, DenyAs, Mode, Owner, Promise, Route, Timeouts, Upgrade};
use crate::table::{Ambiguous, Table};
use cors::Around;
use fields::Way;
use yaml::{At, Pairs, Tried};

/// What [`read`] makes. Complete only if it noted no error.
pub(super) struct Compiled {
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) permissions: Vec<Permission>,
    pub(super) table: Table,
}

const DEFAULT_MAX_BODY: ByteCount = ByteCount(10 << 20);

/// A route all of whose parts could be read, before permissions have their numbers.
struct Draft<'a> {
    file: &'a Arc<str>,
    id: RouteId,
    upstream: Destination,
    access: Access,
    limits: Vec<usize>,
    cost: NonZeroU32,
    audit: Promise,
    max_body: ByteCount,
    body_digest: Option<ByteCount>,
    timeouts: Timeouts,
    request_fields: FieldRules,
    response_fields: FieldRules,
    cors: Option<Cors>,
    echo: Option<Echo>,
    r#match: &'a MatchEntry,
    pattern: Pattern,
    allow: Vec<(Slot, Permission)>,
    when: Option<Arc<Condition>>,
    owner: Option<Owner>,
    mode: Mode,
    deny_as: DenyAs,
    written: &'a At<RouteEntry>,
}

/// Which methods a permission is for: one of [`METHODS`], or every other.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Slot {
    Method(usize),
    Other,
}

pub(super) fn read(
    files: &[Written<'_>],
    known: &Known,
    limits: &Limits,
    tenants: &Registry,
    findings: &mut Findings,
) -> Compiled {
    let mut names = Names::of("route");
    let mut drafts = Vec::new();
    for Written { file, text, entries } in files {
        if let Some(at) = entries.mode.as_ref().filter(|_| entries.routes.is_empty()) {
            findings.push(Finding::error(at.spot.place(file), "this file has no routes that could have a mode"));
        }
        for written in &entries.routes {
            let id = &written.value.id;
            names.give(id.as_str(), id.spot.place(file), (), findings);
            drafts.extend(
                Reader { file, text, mode: entries.mode.as_ref(), known, limits, tenants }.route(written, findings),
            );
        }
    }
    let asked: BTreeSet<Permission> =
        drafts.iter().flat_map(|draft| draft.allow.iter().map(|(_, permission)| permission.clone())).collect();
    let permissions: Vec<Permission> = asked.into_iter().collect();
    let mut table = Table::default();
    let mut routes = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let route = Arc::new(draft.number(&permissions));
        if let Err(ambiguous) = table.insert(&route) {
            findings.push(refuse_ambiguous(&route, &ambiguous));
        }
        routes.push(route);
    }
    Compiled { routes, permissions, table }
}

fn refuse_ambiguous(route: &Route, ambiguous: &Ambiguous) -> Finding {
    let Ambiguous { with, method } = ambiguous;
    let methods = match method {
        Some(method) => format!("{method} requests"),
        None => "requests".to_owned(),
    };
    let message = format!("route `{}` matches the same {methods} as route `{}`, equally closely", route.id, with.id);
    Finding::error(route.place.clone(), message).help(format!("that one stands at {}", with.place))
}

impl Draft<'_> {
    fn number(self, permissions: &[Permission]) -> Route {
        let index = |slot: Slot| {
            let (_, permission) = self.allow.iter().find(|(known, _)| *known == slot)?;
            permissions.binary_search(permission).ok()
        };
        let other = index(Slot::Other);
        let mut by_method = [None; METHODS.len()];
        for (method, asked) in by_method.iter_mut().enumerate() {
            *asked = index(Slot::Method(method)).or(other);
        }
        let entry = &self.written.value;
        let place = self.written.spot.place(self.file);
        Route {
            rule: RuleId::new(&place, self.id.as_str()),
            id: self.id,
            upstream: self.upstream,
            access: self.access,
            mode: self.mode,
            deny_as: self.deny_as,
            limits: self.limits,
            cost: self.cost,
            audit: self.audit,
            upgrade: upgrade(entry),
            repeat: entry.retry.as_ref().and_then(|retry| retry.0).unwrap_or_default(),
            max_body: self.max_body,
            body_digest: self.body_digest,
            timeouts: self.timeouts,
            request_fields: self.request_fields,
            response_fields: self.response_fields,
            cors: self.cors,
            echo: self.echo,
            template: self.r#match.path.as_str().into(),
            host: self.r#match.host.as_str().into(),
            place,
            tenant_segment: self.pattern.path.tenant(),
            pattern: self.pattern,
            asks: Asks { by_method, other },
            when: self.when,
            owner: self.owner,
        }
    }
}

fn upgrade(route: &RouteEntry) -> Upgrade {
    match route.upgrade.as_ref().and_then(|upgrade| upgrade.0.as_ref()) {
        None => Upgrade::None,
        Some(UpgradeWord::Websocket) => Upgrade::WebSocket,
    }
}

/// Reads one route.
struct Reader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    /// What the file says about all of its routes.
    mode: Option<&'a At<Tried<Mode>>>,
    known: &'a Known,
    limits: &'a Limits,
    tenants: &'a Registry,
}

impl<'a> Reader<'a> {
    fn route(&self, written: &'a At<RouteEntry>, findings: &mut Findings) -> Option<Draft<'a>> {
        let entry = &written.value;
        let RouteEntry {
            id,
            r#match,
            upstream,
            auth,
            allow,
            when: _,
            owner: _,
            mode: _,
            deny_as: _,
            limits,
            cost,
            audit: _,
            on_audit_failure: _,
            upgrade: _,
            timeouts,
            retry: _,
            max_body,
            body_digest,
            request_headers,
            response_headers,
            cors,
            echo,
        } = entry;
        let id = parse(self.file, id, findings);
        let r#match = r#match.0.as_ref();
        let pattern = r#match.and_then(|r#match| self.pattern(r#match, findings));
        let access = match auth {
            Some(auth) => self.access(auth, findings),
            None => {
                let finding = Finding::error(self.place(written), "this route does not say who may use it");
                findings.push(finding.help("write `auth: none` if everybody may"));
                None
            }
        };
        let upstream = self.destination(upstream, upgrade(entry), access.as_ref(), findings);
        let allow = self.allow(written, allow.as_ref(), access.as_ref(), findings);
        if let (Some(r#match), Some(pattern)) = (r#match, &pattern) {
            self.check_tenant(r#match, pattern, auth.as_ref(), access.as_ref(), findings);
            self.warn_methods(r#match, pattern, &allow, access.as_ref(), findings);
        }
        let when = pattern.as_ref().and_then(|it| self.when(entry, it, access.as_ref(), findings));
        let owner = pattern.as_ref().and_then(|it| self.owner(entry, it, access.as_ref(), findings));
        let mode = self.mode(entry, access.as_ref(), findings);
        let deny_as = self.deny_as(entry, access.as_ref(), findings);
        let limits = self.route_limits(limits, access.as_ref(), pattern.as_ref(), findings);
        let cost = self.cost(cost.as_ref(), &limits, findings);
        let max_body = match max_body {
            Some(text) => parse(self.file, text, findings),
            None => Some(DEFAULT_MAX_BODY),
        };
        let request_headers = request_headers.as_ref().and_then(|entry| entry.0.as_ref());
        self.check_told(request_headers, access.as_ref(), upstream.as_ref(), findings);
        let body_digest = match body_digest {
            Some(bound) => {
                let around = digest::Around {
                    access: access.as_ref(),
                    upstream: upstream.as_ref(),
                    upgrade: upgrade(entry),
                    max_body,
                    request_headers,
                };
                Some(self.body_digest(bound, &around, findings)?)
            }
            None => None,
        };
        let timeouts = self.timeouts(timeouts.as_ref().and_then(|timeouts| timeouts.0.as_ref()), findings);
        let written_fields = |entry: &'a Option<Tried<FieldsEntry>>| entry.as_ref().and_then(|entry| entry.0.as_ref());
        let request_fields = self.fields(request_headers, Way::Request, findings);
        let response_fields = self.fields(written_fields(response_headers), Way::Response, findings);
        let echo = echo.as_ref().and_then(|echo| self.echo(echo, access.as_ref(), upgrade(entry), findings));
        let cors = cors.as_ref().and_then(|cors| cors.0.as_ref());
        let cors = match (cors, &pattern, &access) {
            (Some(cors), Some(pattern), Some(access)) => {
                let allow: Vec<Slot> = allow.iter().map(|(slot, ..)| *slot).collect();
                let around =
                    Around { pattern, access, allow: &allow, limits: &limits, response_fields: &response_fields };
                self.cors(cors, &around, findings)
            }
            (Some(_), _, _) | (None, _, _) => None,
        };
        Some(Draft {
            file: self.file,
            id: id?,
            upstream: upstream?,
            access: access?,
            limits,
            cost,
            audit: self.promise(entry, findings),
            max_body: max_body?,
            body_digest,
            timeouts: timeouts?,
            request_fields,
            response_fields,
            cors,
            echo,
            r#match: r#match?,
            pattern: pattern?,
            allow: allow.into_iter().map(|(slot, permission, _)| (slot, permission)).collect(),
            when: when?,
            owner: owner?,
            mode,
            deny_as,
            written,
        })
    }

    fn timeouts(&self, written: Option<&TimeoutsEntry>, findings: &mut Findings) -> Option<Timeouts> {
        let Some(TimeoutsEntry { connect, tls, first_byte, read, request }) = written else {
            return Some(Timeouts::default());
        };
        let mut span = |written: &Option<At<String>>| {
            let Some(written) = written else { return Some(None) };
            let Span(span) = parse(self.file, written, findings)?;
            if span.is_zero() {
                let finding = Finding::error(self.place(written), "no request is over in no time");
                findings.push(finding.help("leave it out for the time of the upstream"));
            }
            Some(Some(span))
        };
        let spans = (span(connect), span(tls), span(first_byte), span(read), span(request));
        let (connect, tls, first, longest, request) = (spans.0?, spans.1?, spans.2?, spans.3?, spans.4?);
        if let (Some(written), true) = (first_byte, longest.is_some_and(|longest| first > Some(longest))) {
            let message = "no response is awaited for longer than the backend may be silent";
            findings.push(Finding::error(self.place(written), message).help("make `read` as long, or leave it out"));
        }
        Some(Timeouts { connect, tls, first_byte: first, read: longest, request })
    }

    fn sheet(&self) -> Sheet<'a> {
        Sheet { file: self.file, text: self.text, known: self.known }
    }

    fn place<T>(&self, at: &At<T>) -> Place {
        at.spot.place(self.file)
    }

    fn pattern(&self, written: &MatchEntry, findings: &mut Findings) -> Option<Pattern> {
        let MatchEntry { host, path, methods } = written;
        let mut refuse = |at: &At<String>, error: InvalidPattern| {
            findings.push(Finding::error(self.place(at), format!("`{}`: {error}", shown(at.as_str()))));
        };
        let parsed_host = HostPattern::parse(host.as_str()).map_err(|error| refuse(host, error)).ok();
        let parsed_path = PathPattern::parse(path.as_str()).map_err(|error| refuse(path, error)).ok();
        let methods = match methods {
            None => None,
            Some(methods) => {
                let mut set = Methods::NONE;
                for method in &methods.value {
                    set = self.method(method, findings).map_or(set, |index| set.with(index));
                }
                if methods.value.is_empty() {
                    let finding = Finding::error(self.place(methods), "a route without a method matches nothing");
                    findings.push(finding.help("leave `methods` out for all of them"));
                }
                Some(set)
            }
        };
        Some(Pattern { host: parsed_host?, path: parsed_path?, methods })
    }

    fn method(&self, written: &At<String>, findings: &mut Findings) -> Option<usize> {
        let index = Methods::index(written.as_str());
        if index.is_none() {
            let message = format!("`{}` is not a method that a route may name", shown(written.as_str()));
            let upper = written.value.to_ascii_uppercase();
            findings.push(Finding::error(self.place(written), message).did_you_mean(&upper, METHODS));
        }
        index
    }

    /// The permission of each method, and where it is written.
    fn allow(
        &self,
        route: &At<RouteEntry>,
        written: Option<&'a At<Pairs<At<String>>>>,
        access: Option<&Access>,
        findings: &mut Findings,
    ) -> Vec<(Slot, Permission, &'a At<String>)> {
        let mut allow = Vec::new();
        match (access, written) {
            (Some(Access::Public), Some(written)) => {
                let finding = Finding::error(self.place(written), "a public route asks for no permission");
                findings.push(finding.help("take `allow` away, or say in `auth` whose tokens are accepted"));
            }
            (Some(Access::Guarded { .. } | Access::Services { .. }), None) => {
                let finding = Finding::error(self.place(route), "this route does not say which permission it asks for");
                findings.push(finding.help("write for example `allow: { GET: \"invoice:read\" }`"));
            }
            (Some(Access::Guarded { .. } | Access::Services { .. }), Some(written)) if written.value.0.is_empty() => {
                findings.push(Finding::error(self.place(written), "a route without a permission lets nobody in"));
            }
            (Some(Access::Public | Access::Guarded { .. } | Access::Services { .. }) | None, _) => {}
        }
        for (method, permission) in written.iter().flat_map(|written| &written.value.0) {
            let slot = match method.as_str() {
                "*" => Some(Slot::Other),
                _ => self.method(method, findings).map(Slot::Method),
            };
            let permission: Option<Permission> = parse(self.file, permission, findings);
            allow.extend(slot.zip(permission).map(|(slot, permission)| (slot, permission, method)));
        }
        allow
    }

    fn warn_methods(
        &self,
        written: &MatchEntry,
        pattern: &Pattern,
        allow: &[(Slot, Permission, &At<String>)],
        access: Option<&Access>,
        findings: &mut Findings,
    ) {
        let (Some(methods), Some(Access::Guarded { .. } | Access::Services { .. })) = (pattern.methods, access) else {
            return;
        };
        for (slot, _, at) in allow {
            let Slot::Method(index) = slot else { continue };
            let method = METHODS.get(*index).copied().unwrap_or_default();
            if !methods.has(method) {
                let message = format!("`{method}` never comes here: `methods` does not list it");
                findings.push(Finding::warning(self.place(at), message));
            }
        }
        let everything = allow.iter().any(|(slot, ..)| *slot == Slot::Other);
        for at in written.methods.iter().flat_map(|methods| &methods.value) {
            let granted = |index| allow.iter().any(|(slot, ..)| *slot == Slot::Method(index));
            if !everything && Methods::index(at.as_str()).is_some_and(|index| !granted(index)) {
                let message = format!("`{}` is always denied here: `allow` has no permission for it", at.value);
                findings.push(Finding::warning(self.place(at), message));
            }
        }
    }
}
