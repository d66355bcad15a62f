//! Recorded decisions, made again by another policy.
//!
//! A record has no path, no claim and no body, so not everything can be said of it. What cannot is said to be unknown, never
//! guessed: the counts of what is newly allowed and newly denied are true as they stand.

use std::collections::{HashMap, HashSet};

use tenancy::{MembershipSource, Status};
use terms::{IssuerId, Reason, RoleName};

use crate::destination::Destination;
use crate::known::DirectoryAt;
use crate::outlook::Outlook;
use crate::policy::Policy;
use crate::route::{AcceptsKeys, Access, Route};

/// What a record says of a request.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'r> {
    /// The host.
    pub host: Option<&'r str>,
    /// The method.
    pub method: Option<&'r str>,
    /// What its route was called.
    pub route: Option<&'r str>,
    /// The tenant, once that was proved.
    pub tenant: Option<&'r str>,
    /// Who vouched for the caller.
    pub issuer: Option<&'r str>,
    /// Whether it came with an API key.
    pub by_key: bool,
    /// The roles that the decision looked at, with spaces between.
    pub roles: Option<&'r str>,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// Why, or why not.
    pub reason: Reason,
}

/// What becomes of a recorded request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Replayed {
    /// It would be served, and was refused.
    Allowed,
    /// It would be refused, and was served.
    Denied(Reason),
    /// The same as before.
    Same,
    /// The record does not say enough.
    Unknown(&'static str),
}

/// Makes decisions again that were recorded under one policy, by another one. It remembers what it has worked out.
#[derive(Debug)]
pub struct Replay<'p> {
    old: &'p Policy,
    new: &'p Policy,
    routes: HashMap<&'p str, &'p Route>,
    same_routes: bool,
    /// Tenants whose members in the files are not the same in both.
    other_members: HashSet<&'p str>,
    known: HashMap<Box<str>, Replayed>,
    key: String,
}

/// So many different requests are remembered; then it begins anew.
const MOST: usize = 1 << 20;

impl<'p> Replay<'p> {
    /// `old` is the policy of the records, `new` the one to make their decisions by.
    #[must_use]
    pub fn new(old: &'p Policy, new: &'p Policy) -> Self {
        let routes = old.routes.iter().map(|route| (route.id.as_str(), &**route)).collect();
        let patterns = |policy: &'p Policy| policy.routes.iter().map(|route| &route.pattern);
        let has = |policy: &'p Policy, pattern| patterns(policy).any(|other| other == pattern);
        let same_routes = patterns(new).all(|pattern| has(old, pattern));
        Self {
            old,
            new,
            routes,
            same_routes,
            other_members: other_members(old, new),
            known: HashMap::new(),
            key: String::new(),
        }
    }

    /// What becomes of this request.
    pub fn judge(&mut self, recorded: &Recorded<'_>) -> Replayed {
        let Recorded { host, method, route, tenant, issuer, by_key, roles, forwarded, reason } = *recorded;
        self.key.clear();
        for part in [host, method, route, tenant, issuer, roles, Some(reason.as_str())] {
            self.key.push_str(part.unwrap_or("\u{1}"));
            self.key.push('\0');
        }
        self.key.push(if by_key { 'k' } else { '-' });
        self.key.push(if forwarded { 'f' } else { '-' });
        if let Some(known) = self.known.get(self.key.as_str()) {
            return *known;
        }
        let replayed = self.work_out(recorded);
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(self.key.as_str().into(), replayed);
        replayed
    }

    fn work_out(&self, recorded: &Recorded<'_>) -> Replayed {
        let was = Was::of(recorded);
        if was == Was::Elsewhere && recorded.route.is_none() {
            let may_have_one = recorded.reason == Reason::RouteUnknown && !self.same_routes;
            // Otherwise it never got as far as a policy.
            return if may_have_one { Replayed::Unknown("its path is not on record") } else { Replayed::Same };
        }
        let Some(before) = recorded.route.and_then(|route| self.routes.get(route)) else {
            return Replayed::Unknown("its route is not in the policies that it is compared with");
        };
        let (Some(host), Some(method)) = (recorded.host, recorded.method) else {
            return Replayed::Unknown("its host or method is not on record");
        };
        let mut fates =
            self.candidates(before, host, method).into_iter().map(|after| self.fate(before, after, recorded, was));
        let first = fates.next().unwrap_or(Replayed::Denied(Reason::RouteUnknown));
        let all_alike = fates.all(|fate| fate == first);
        if !all_alike {
            return Replayed::Unknown("several routes share the paths of its route");
        }
        let refused_as_before = matches!(first, Replayed::Denied(_)) && was != Was::Granted;
        if refused_as_before { Replayed::Same } else { first }
    }

    /// The routes that such a request may get, whose path is one of those of `before`. One at least covers all of them, if all of
    /// them have a route.
    fn candidates(&self, before: &Route, host: &str, method: &str) -> Vec<Option<&'p Route>> {
        let matches = |route: &&Route| route.pattern.host.matches(host).is_some() && route.pattern.takes(method);
        let closer = |one: &Route, two: &Route| one.pattern.specificity() > two.pattern.specificity();
        // What a closer route took before was not this one's.
        let taken: Vec<&Route> =
            self.old.routes.iter().map(|route| &**route).filter(matches).filter(|it| closer(it, before)).collect();
        let mut routes: Vec<&'p Route> = self.new.routes.iter().map(|route| &**route).filter(matches).collect();
        routes.retain(|route| {
            let both = route.pattern.path.meet(&before.pattern.path);
            both.is_some_and(|both| !taken.iter().any(|other| other.pattern.path.covers(&both)))
        });
        routes.sort_by_key(|route| route.pattern.closest_first());
        let covering = routes.iter().position(|route| route.pattern.path.covers(&before.pattern.path));
        match covering {
            Some(at) => routes.into_iter().take(at + 1).map(Some).collect(),
            None => routes.into_iter().map(Some).chain([None]).collect(),
        }
    }

    fn fate(&self, before: &Route, after: Option<&Route>, recorded: &Recorded<'_>, was: Was) -> Replayed {
        let Some(after) = after else { return Replayed::Denied(Reason::RouteUnknown) };
        let allowed = if was == Was::Granted { Replayed::Same } else { Replayed::Allowed };
        let (issuers, keys) = match &after.access {
            Access::Public => return allowed,
            Access::Guarded { issuers, keys, .. } => (issuers, *keys),
            Access::Services { authorities, .. } => (authorities, AcceptsKeys::No),
        };
        if was == Was::Elsewhere {
            return if asks_alike(before, after) {
                Replayed::Same
            } else {
                Replayed::Unknown("it was refused before its roles were looked at")
            };
        }
        if matches!(before.access, Access::Public) {
            return Replayed::Denied(Reason::AuthMissing); // or with a token that nobody looked at: then it may be another reason
        }
        let accepted = recorded
            .issuer
            .and_then(|issuer| issuer.parse::<IssuerId>().ok())
            .is_some_and(|issuer| issuers.contains(&issuer));
        match (recorded.by_key, keys) {
            (true, AcceptsKeys::No) => return Replayed::Denied(Reason::AuthMissing),
            (false, _) if !accepted => return Replayed::Denied(Reason::AuthInvalidIssuer),
            _ => {}
        }
        if !asks_alike(before, after) {
            return Replayed::Unknown("its route asks for something else besides roles");
        }
        let Some(tenant) = recorded.tenant else { return Replayed::Unknown("its tenant is not on record") };
        if let Some(fate) = self.tenant(tenant) {
            return fate;
        }
        let in_files = recorded.issuer.is_some_and(|issuer| self.members_are_in_files(issuer)) && !recorded.by_key;
        if in_files && self.other_members.contains(tenant) {
            return Replayed::Unknown("the members of its tenant are others");
        }
        let Some(roles) = recorded.roles else { return Replayed::Unknown("its roles are not on record") };
        let roles: Option<Vec<RoleName>> = roles.split_ascii_whitespace().map(|role| role.parse().ok()).collect();
        let Some(roles) = roles else { return Replayed::Unknown("its roles cannot be read") };
        let method = recorded.method.unwrap_or_default();
        match self.new.outlook(after, method, Some(tenant), &roles) {
            Outlook::Refused(reason) => Replayed::Denied(reason),
            open @ Outlook::Depends(_) if open == self.old.outlook(before, method, Some(tenant), &roles) => {
                Replayed::Same
            }
            Outlook::Depends(_) => Replayed::Unknown("it depends on a condition"),
            Outlook::Allowed | Outlook::Shadowed(_) if has_place(&after.upstream, tenant) => allowed,
            Outlook::Allowed | Outlook::Shadowed(_) => Replayed::Denied(Reason::TenantUnplaced),
        }
    }

    fn members_are_in_files(&self, issuer: &str) -> bool {
        let issuer = issuer.parse::<IssuerId>().ok();
        let voucher = issuer.and_then(|issuer| self.new.voucher(&issuer));
        self.new.directory == DirectoryAt::Files
            && voucher.is_none_or(|voucher| voucher.members != MembershipSource::Claims)
    }

    /// What the tenant alone decides, if it does.
    fn tenant(&self, name: &str) -> Option<Replayed> {
        let (before, after) = (self.old.tenants.get(name), self.new.tenants.get(name));
        let Some(after) = after else {
            return before.map(|_| Replayed::Denied(Reason::TenantUnknown)); // or it is of a database, which both have
        };
        match after.status {
            Status::Active => {}
            Status::Suspended => return Some(Replayed::Denied(Reason::TenantSuspended)),
            Status::Closed => return Some(Replayed::Denied(Reason::TenantClosed)),
            Status::Unreadable => return Some(Replayed::Unknown("its tenant cannot be read")),
        }
        let alike = before.is_none_or(|before| {
            (&before.clients, &before.issuers, &before.session_max, &before.mfa, &before.bindings)
                == (&after.clients, &after.issuers, &after.session_max, &after.mfa, &after.bindings)
        });
        (!alike).then_some(Replayed::Unknown("its tenant asks for something else"))
    }
}

/// How far a recorded request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Was {
    /// The policy let it through, whatever became of it then.
    Granted,
    /// The policy refused it.
    Refused,
    /// It did not get as far as its roles.
    Elsewhere,
}

impl Was {
    fn of(recorded: &Recorded<'_>) -> Self {
        let word = recorded.reason.as_str();
        let (part, _) = word.split_once('.').unwrap_or((word, ""));
        match (recorded.forwarded, recorded.reason, part) {
            (_, Reason::CorsPreflight | Reason::CorsDenied, _) => Self::Elsewhere,
            (true, ..) => Self::Granted,
            (false, _, "policy") => Self::Refused,
            (false, Reason::TenantUnplaced, _) => Self::Refused,
            (false, _, "limit" | "audit") => Self::Granted,
            (false, ..) => Self::Elsewhere,
        }
    }
}

/// Whether both ask for the same besides roles and issuers.
fn asks_alike(before: &Route, after: &Route) -> bool {
    match (&before.access, &after.access) {
        (
            Access::Guarded { tenant_from: one, demands: first, .. },
            Access::Guarded { tenant_from: two, demands: second, .. },
        ) => one == two && first == second,
        (Access::Services { tenant_from: one, .. }, Access::Services { tenant_from: two, .. }) => one == two,
        (Access::Public, Access::Public) => true,
        _ => false,
    }
}

fn other_members<'p>(old: &'p Policy, new: &'p Policy) -> HashSet<&'p str> {
    let all = old.members.iter().chain(new.members.iter());
    let differs = |tenant, user| old.members.roles(tenant, user) != new.members.roles(tenant, user);
    all.filter(|(tenant, user, _)| differs(tenant, user)).map(|(tenant, ..)| tenant.as_str()).collect()
}

fn has_place(upstream: &Destination, tenant: &str) -> bool {
    match upstream {
        Destination::One(_) => true,
        Destination::ByTenant { named, otherwise } => {
            otherwise.is_some() || named.keys().any(|name| name.as_str() == tenant)
        }
    }
}
