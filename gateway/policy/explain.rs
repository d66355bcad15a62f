use std::fmt;

use condition::{Fault, PartValue};
use serde::{Serialize, Serializer};
use tenancy::{Membership, Outsider};
use terms::{IssuerSet, Place, Reason, RoleName, Weight};

use crate::condition::{Condition, OnRoute};
use crate::decide::Decision;
use crate::destination::Destination;
use crate::judge::{Assurance, Question, ShownKey, Verdict};
use crate::limit::{Amount, LimitMode, LimitScope};
use crate::policy::Policy;
use crate::role::{Clause, Of, Role};
use crate::route::{Access, Route};
use crate::service::Service;

/// How a request was judged: every rule in the order in which it was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The request.
    pub request: String,
    /// What was asked, in order.
    pub steps: Vec<Step>,
    /// Whether it may be forwarded.
    pub allowed: bool,
    /// The word for the outcome.
    #[serde(serialize_with = "as_text")]
    pub reason: Reason,
    /// Why authorisation would have refused it, if the route were not in shadow.
    #[serde(serialize_with = "some_as_text", skip_serializing_if = "Option::is_none")]
    pub would: Option<Reason>,
    /// The rule that the outcome rests on.
    pub rule: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// The registered tenant that it was about.
    pub tenant: Option<String>,
    /// Where it goes, if it may.
    pub upstream: Option<String>,
}

/// One rule that was asked, or one fact that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// At which stage.
    pub stage: Stage,
    /// What it said.
    pub outcome: Outcome,
    /// What it was.
    pub text: String,
    /// Where it stands.
    #[serde(serialize_with = "place_as_text")]
    pub place: Option<Place>,
}

/// The stages that a policy has a say in, in the order of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Which route it is.
    Route,
    /// Whose token it brings.
    Authenticate,
    /// For which tenant.
    Tenancy,
    /// Whether it may.
    Authorise,
    /// How much of it.
    Limit,
}

/// What a step said.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It speaks against the request, or what is needed is not there.
    Against,
    /// It speaks for the request.
    For,
    /// It was looked at and says nothing about this request.
    Silent,
}

/// How many routes that did not match are shown.
const SHOWN_ROUTES: usize = 12;

/// What there is to say of a route for services about who asks.
fn service(question: &Question, verdict: &Verdict<'_, '_>, authorities: &IssuerSet) -> (Outcome, String) {
    let accepted: Vec<String> = authorities.iter().map(|authority| format!("`{authority}`")).collect();
    let accepted = accepted.join(", ");
    match question.asker.as_ref().and_then(|asker| asker.service.as_ref()) {
        None => (Outcome::Against, format!("no certificate of a service; {accepted} must vouch for it")),
        Some(service) if verdict.reason == Reason::AuthInvalidService => {
            let authority = &service.authority;
            (Outcome::Against, format!("a certificate that `{authority}` vouches for; here it must be {accepted}"))
        }
        Some(service) => {
            let Service { authority, name, .. } = &**service;
            (Outcome::For, format!("a certificate of service `{}`, for which `{authority}` vouches", name.as_str()))
        }
    }
}

impl Policy {
    /// Judges a request as a real one is judged, and tells how.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Explanation {
        let verdict = self.judge(question);
        let mut steps = self.explain_route(question, &verdict);
        self.explain_caller(question, &verdict, &mut steps);
        self.explain_tenancy(question, &verdict, &mut steps);
        self.explain_authentication(question, &verdict, &mut steps);
        self.explain_roles(question, &verdict, &mut steps);
        explain_upstream(&verdict, &mut steps);
        self.explain_limits(&verdict, &mut steps);
        Explanation {
            request: question.request.to_string(),
            steps,
            allowed: verdict.reason == Reason::Allowed,
            reason: verdict.reason,
            would: verdict.would,
            rule: verdict.rule().map(ToString::to_string),
            route: verdict.matched.map(|matched| matched.route.id.to_string()),
            tenant: verdict.tenant().map(ToString::to_string),
            upstream: verdict.upstream.map(ToString::to_string),
        }
    }

    /// The limits that such a request is charged to, and how much its tenant has of each. What was spent of them nobody knows
    /// here.
    fn explain_limits(&self, verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
        let Some(matched) = verdict.matched.filter(|_| verdict.reason == Reason::Allowed) else { return };
        let tenant = verdict.tenant();
        let registered = tenant.and_then(|tenant| self.tenants.get(tenant.as_str()));
        let plan = registered.and_then(|tenant| tenant.plan.as_ref());
        if let Some(tenant) = registered.filter(|_| self.tells_weights()) {
            let weight = tenant.weight;
            let text =
                format!("tenant `{}` has weight {weight}, where there are fewer places than requests", tenant.id);
            steps.push(step(Stage::Limit, Outcome::Silent, text, None));
        }
        for rule in matched.route.limits.iter().filter_map(|place| self.limits.get(*place)) {
            let amount = rule.amount_for(tenant, plan);
            let cost = match (amount, matched.route.cost.get()) {
                (Amount::Quota { .. } | Amount::Rate { .. }, cost @ 2..) => format!(", of which it takes {cost}"),
                (_, _) => String::new(),
            };
            let mode = match rule.mode {
                LimitMode::Enforce => "",
                LimitMode::Shadow => ", which only looks",
            };
            let scope = match rule.scope {
                LimitScope::Gateway => "",
                LimitScope::Shared(_) => ", for all gateways together",
            };
            let text = format!("limit `{}` has {amount}{cost}{mode}{scope}", rule.id);
            steps.push(step(Stage::Limit, Outcome::Silent, text, Some(&rule.place)));
        }
    }

    /// Whether some tenants get more than others of what is short.
    fn tells_weights(&self) -> bool {
        !self.weights.is_empty() || self.tenants.iter().any(|tenant| tenant.weight != Weight::ONE)
    }

    fn explain_route(&self, question: &Question, verdict: &Verdict<'_, '_>) -> Vec<Step> {
        let asked = &question.request;
        let (host, path, method) = (asked.host(), asked.path(), asked.method());
        let mut near: Vec<&Route> = self.routes.iter().map(AsRef::as_ref).collect();
        near.retain(|route| route.pattern.host.matches(host).is_some() && route.pattern.path.matches(path));
        near.sort_by_key(|route| route.pattern.closest_first());
        let chosen = verdict.matched.map(|matched| &matched.route.id);
        let mut steps = Vec::new();
        for route in near.into_iter().take(SHOWN_ROUTES) {
            let (outcome, why) = match (chosen == Some(&route.id), route.pattern.takes(method)) {
                (true, _) => (Outcome::For, "the closest match".to_owned()),
                (false, true) => (Outcome::Silent, "matches less closely".to_owned()),
                (false, false) => {
                    let methods: Vec<_> = route.pattern.methods.iter().flat_map(|methods| methods.iter()).collect();
                    (Outcome::Silent, format!("takes only {}", methods.join(", ")))
                }
            };
            let text = format!("route `{}` ({}{}): {why}", route.id, route.host, route.template);
            steps.push(step(Stage::Route, outcome, text, Some(&route.place)));
        }
        if chosen.is_none() {
            let host_known = self.routes.iter().any(|route| route.pattern.host.matches(host).is_some());
            let text = match (host_known, steps.is_empty()) {
                (false, _) => format!("no route has host `{host}`"),
                (true, true) => format!("no route of this host has path `{path}`"),
                (true, false) => format!("no route of this host and path takes {method}"),
            };
            steps.push(step(Stage::Route, Outcome::Against, text, None));
        }
        steps
    }

    fn explain_caller(&self, question: &Question, verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
        let Some(matched) = verdict.matched else { return };
        let place = Some(&matched.route.place);
        let issuers = match &matched.route.access {
            Access::Public => {
                let text = "the route is public: no token is looked at".to_owned();
                return steps.push(step(Stage::Authenticate, Outcome::For, text, place));
            }
            Access::Guarded { issuers, .. } => issuers,
            Access::Services { authorities, .. } => {
                let (outcome, text) = self::service(question, verdict, authorities);
                return steps.push(step(Stage::Authenticate, outcome, text, place));
            }
        };
        if let Some(ShownKey { id, standing, refused }) = question.asker.as_ref().and_then(|asker| asker.key.as_ref()) {
            let subject = question.asker.as_ref().map_or("", |asker| asker.subject.as_str());
            let (outcome, text) = match (verdict.reason, refused) {
                (Reason::AuthMissing, _) => (Outcome::Against, "the route does not look for API keys".to_owned()),
                (_, Some(_)) => (Outcome::Against, format!("API key `{id}` of `{subject}`: {standing}")),
                (_, None) => (Outcome::For, format!("API key `{id}` of `{subject}`: {standing}")),
            };
            return steps.push(step(Stage::Authenticate, outcome, text, place));
        }
        let accepted: Vec<String> = issuers.iter().map(|issuer| format!("`{issuer}`")).collect();
        let accepted = accepted.join(", ");
        let (outcome, text) = match (verdict.issuer, verdict.reason) {
            (_, Reason::AuthMissing) => (Outcome::Against, format!("no token; the route accepts those of {accepted}")),
            (Some((issuer, _)), Reason::AuthInvalidIssuer) => {
                (Outcome::Against, format!("a token of `{issuer}`; the route accepts those of {accepted}"))
            }
            (_, Reason::AuthInvalidUnbound) => {
                (Outcome::Against, "a token for whoever has it; here it must be bound".to_owned())
            }
            (issuer, _) => {
                let subject = question.asker.as_ref().map_or("", |asker| asker.subject.as_str());
                let issuer = issuer.map_or("", |(issuer, _)| issuer.as_str());
                (Outcome::For, format!("a token of `{issuer}` for `{subject}`"))
            }
        };
        steps.push(step(Stage::Authenticate, outcome, text, place));
    }

    fn explain_tenancy(&self, question: &Question, verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
        let (Some(matched), Some(entered)) = (verdict.matched, &verdict.entered) else {
            return;
        };
        let place = Some(&matched.route.place);
        let in_token = question.asker.as_ref().and_then(|asker| asker.tenant.as_deref());
        let first = in_token.or_else(|| verdict.named.iter().find_map(|(_, tenant)| *tenant));
        for (source, tenant) in &verdict.named {
            let (outcome, text) = match tenant {
                Some(tenant) if first == Some(tenant) => (Outcome::For, format!("`{source}` names `{tenant}`")),
                Some(tenant) => (Outcome::Against, format!("`{source}` names `{tenant}`")),
                None => (Outcome::Against, format!("`{source}` names no tenant")),
            };
            steps.push(step(Stage::Tenancy, outcome, text, place));
        }
        let asked_token = verdict.named.iter().any(|(source, _)| **source == crate::TenantSource::Token);
        if let Some(tenant) = in_token.filter(|_| !asked_token) {
            let text = format!("the token names `{tenant}`, and must agree though the route does not ask it");
            steps.push(step(Stage::Tenancy, Outcome::For, text, None));
        }
        self.explain_bindings(question, entered, steps);
        steps.push(match entered {
            Ok(membership) => {
                let roles: Vec<&str> = membership.roles().iter().map(RoleName::as_str).collect();
                let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
                let tenant = self.tenants.get(membership.tenant().as_str());
                let plan = tenant.and_then(|it| it.plan.as_ref()).map(|plan| format!(", plan `{plan}`"));
                let region = tenant.and_then(|it| it.region.as_ref()).map(|region| format!(", region `{region}`"));
                let (plan, region) = (plan.unwrap_or_default(), region.unwrap_or_default());
                let text = format!("a member of `{}`{plan}{region} with {roles}", membership.tenant());
                step(Stage::Tenancy, Outcome::For, text, None)
            }
            Err(outsider) => step(Stage::Tenancy, Outcome::Against, outsider.to_string(), None),
        });
        if let (Some(client), Ok(membership)) = (question.client, entered) {
            let denied = verdict.reason == Reason::ClientDenied;
            let (outcome, word) = if denied { (Outcome::Against, "does not let") } else { (Outcome::For, "lets") };
            let text = format!("`{}` {word} its members come from {client}", membership.tenant());
            steps.push(step(Stage::Tenancy, outcome, text, None));
        }
    }

    /// What the names are worth that the token has for roles, where its tenant says that.
    fn explain_bindings(&self, question: &Question, entered: &Result<Membership, Outsider>, steps: &mut Vec<Step>) {
        let (Ok(membership), Some(asker)) = (entered, &question.asker) else { return };
        let tenant = self.tenants.get(membership.tenant().as_str());
        let bindings = tenant.and_then(|tenant| tenant.bindings.as_ref());
        let Some(bindings) = bindings.filter(|_| asker.service.is_none() && asker.key.is_none()) else { return };
        for name in asker.roles.iter() {
            let (outcome, text) = match bindings.of(name.as_str()) {
                Some(roles) => {
                    let roles: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
                    (Outcome::For, format!("`{name}` of the token is bound to {}", roles.join(", ")))
                }
                None => (Outcome::Silent, format!("`{name}` of the token is bound to nothing, and counts for nothing")),
            };
            steps.push(step(Stage::Tenancy, outcome, text, None));
        }
    }

    /// How the user has proven itself, where anybody asks.
    fn explain_authentication(&self, question: &Question, verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
        let (Some(matched), Some(Ok(membership)), Some(asker)) = (verdict.matched, &verdict.entered, &question.asker)
        else {
            return;
        };
        let Access::Guarded { demands, .. } = &matched.route.access else { return };
        let tenant = self.tenants.get(membership.tenant().as_str());
        let by_tenant = tenant.is_some_and(|tenant| tenant.mfa.is_some() || tenant.session_max.is_some());
        if demands.authentication.is_nothing() && !by_tenant {
            return;
        }
        let Assurance { acr, amr, age, .. } = &asker.assurance;
        let acr = acr.as_deref().map_or_else(|| "no `acr`".to_owned(), |acr| format!("`acr` {acr}"));
        let amr = if amr.is_empty() { "no `amr`".to_owned() } else { format!("`amr` {}", amr.join(" ")) };
        let age = age.map_or_else(|| "no `auth_time`".to_owned(), |age| format!("proven {}s ago", age.as_secs()));
        let (outcome, verb) = match verdict.reason.as_str().starts_with("auth.insufficient.") {
            true => (Outcome::Against, "is not what is demanded"),
            false => (Outcome::For, "is what route and tenant demand"),
        };
        let text = format!("{acr}, {amr}, {age}: {verb}");
        steps.push(step(Stage::Authenticate, outcome, text, Some(&matched.route.place)));
    }

    fn explain_roles(&self, question: &Question, verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
        let (Some(matched), Some(decision)) = (verdict.matched, verdict.decision) else {
            return;
        };
        let method = question.request.method();
        let place = Some(&matched.route.place);
        if let (Some(permission), Some(Ok(membership)), Some((issuer, _))) =
            (matched.route.permission(method, &self.permissions), &verdict.entered, verdict.issuer)
        {
            let tenant = self.tenants.get(membership.tenant().as_str());
            let facts = question.facts(issuer, membership.roles(), tenant);
            let facts = OnRoute::new(&facts, matched.route);
            let text = format!("{method} asks for `{permission}`");
            steps.push(step(Stage::Authorise, Outcome::Silent, text, place));
            for name in membership.roles().iter() {
                match self.role(Some(membership.tenant().as_str()), name.as_str()) {
                    Some(role) => self.explain_role(name, role, permission, &facts, steps),
                    None => {
                        let text = format!("role `{name}` is not defined: it grants nothing");
                        steps.push(step(Stage::Authorise, Outcome::Silent, text, None));
                    }
                }
            }
            if let Some(when) = &matched.route.when {
                let (outcome, text) = match facts.holds(when) {
                    Ok(true) => (Outcome::For, "the condition of the route is met".to_owned()),
                    Ok(false) => (Outcome::Against, "the condition of the route is not met".to_owned()),
                    Err(fault) => {
                        (Outcome::Against, format!("the condition of the route cannot be worked out: {fault}"))
                    }
                };
                steps.push(step(Stage::Authorise, outcome, text, Some(&when.place)));
                explain_parts(when, &facts, steps);
            }
        }
        steps.push(match decision {
            Decision::Allow { rule } => step(Stage::Authorise, Outcome::For, format!("allowed by `{rule}`"), None),
            Decision::BreakGlass { rule, justification } => {
                let text = format!("no role grants it; the glass is broken by `{rule}`, with {justification}");
                step(Stage::Authorise, Outcome::For, text, Some(&justification.place))
            }
            Decision::Deny(denial) => step(Stage::Authorise, Outcome::Against, denial.to_string(), place),
        });
    }

    /// Each grant and deny of a role and of what it inherits that speaks about the permission.
    fn explain_role(
        &self,
        name: &RoleName,
        role: &Role,
        permission: &terms::Permission,
        facts: &OnRoute<'_>,
        steps: &mut Vec<Step>,
    ) {
        let before = steps.len();
        for ancestor in &role.lineage {
            let Some(Role { written, .. }) = self.role(facts.tenant(), ancestor.as_str()) else {
                continue;
            };
            let who = match ancestor == name {
                true => format!("role `{name}`"),
                false => format!("role `{name}`, as `{ancestor}`,"),
            };
            for clause in written.deny.iter().filter(|clause| clause.grant.covers(permission)) {
                explain_clause(clause, &format!("{who} denies"), Outcome::Against, facts, steps);
            }
            for clause in written.allow.iter().filter(|clause| clause.grant.covers(permission)) {
                explain_clause(clause, &format!("{who} allows"), Outcome::For, facts, steps);
            }
            for clause in written.glass.iter().filter(|clause| clause.grant.covers(permission)) {
                let justification = clause.proviso.justified.as_ref().map(ToString::to_string).unwrap_or_default();
                let what = format!("{who} may break the glass with {justification}:");
                explain_clause(clause, &what, Outcome::Silent, facts, steps);
            }
        }
        if steps.len() == before {
            let text = format!("role `{name}` says nothing about it");
            steps.push(step(Stage::Authorise, Outcome::Silent, text, Some(&role.written.place)));
        }
    }
}

/// A grant or a deny, and what it counts on.
fn explain_clause(clause: &Clause, what: &str, outcome: Outcome, facts: &OnRoute<'_>, steps: &mut Vec<Step>) {
    let Clause { grant, place, proviso } = clause;
    let own = match (proviso.of, facts.is_own()) {
        (Of::Everybody, _) => "",
        (Of::Own, Some(true)) => "@own",
        (Of::Own, Some(false)) => "@own, and this is not",
        (Of::Own, None) => "@own, and nobody can say whose this is",
    };
    let own = if own.is_empty() { format!("`{grant}`") } else { own.replacen("@own", &format!("`{grant}@own`"), 1) };
    let counts = match outcome {
        Outcome::Against => proviso.bars(facts),
        Outcome::For | Outcome::Silent => proviso.lets(facts),
    };
    let (outcome, when) = match (counts, &proviso.when) {
        (Ok(true), None) => (outcome, String::new()),
        (Ok(true), Some(_)) => (outcome, ", as its condition is met".to_owned()),
        (Ok(false), None) => (Outcome::Silent, String::new()),
        (Ok(false), Some(_)) => (Outcome::Silent, ", if its condition were met".to_owned()),
        (Err(fault), _) => (Outcome::Against, format!(", on a condition that cannot be worked out: {fault}")),
    };
    steps.push(step(Stage::Authorise, outcome, format!("{what} {own}{when}"), Some(place)));
    if let Some(when) = &proviso.when {
        explain_parts(when, facts, steps);
    }
}

/// What the parts of a condition are worth, and the facts that it names.
fn explain_parts(when: &Condition, facts: &OnRoute<'_>, steps: &mut Vec<Step>) {
    for PartValue { text, value } in when.program.parts(facts) {
        let text = match value {
            Ok(value) => format!("  {text} is {value}"),
            Err(Fault::Absent) => format!("  {text} is not there"),
            Err(fault) => format!("  {text}: {fault}"),
        };
        steps.push(step(Stage::Authorise, Outcome::Silent, text, Some(&when.place)));
    }
}

/// Only a route that tells tenants apart has something to explain.
fn explain_upstream(verdict: &Verdict<'_, '_>, steps: &mut Vec<Step>) {
    let Some(matched) = verdict.matched.filter(|it| matches!(it.route.upstream, Destination::ByTenant { .. })) else {
        return;
    };
    let place = Some(&matched.route.place);
    match (verdict.upstream, verdict.reason) {
        (Some(upstream), _) => {
            steps.push(step(Stage::Authorise, Outcome::For, format!("goes to upstream `{upstream}`"), place));
        }
        (None, Reason::TenantUnplaced) => {
            let text = "the route names no upstream for this tenant".to_owned();
            steps.push(step(Stage::Authorise, Outcome::Against, text, place));
        }
        (None, _) => {}
    }
}

fn step(stage: Stage, outcome: Outcome, text: String, place: Option<&Place>) -> Step {
    Step { stage, outcome, text, place: place.cloned() }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn as_text<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

fn some_as_text<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&reason.map(Reason::as_str))
}

fn place_as_text<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Some(place) => serializer.collect_str(place),
        None => serializer.serialize_none(),
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Route => "route",
            Self::Authenticate => "authenticate",
            Self::Tenancy => "tenancy",
            Self::Authorise => "authorise",
            Self::Limit => "limit",
        })
    }
}

/// One line for the request, one for each step, one for the outcome. `+` speaks for it, `-` against.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        for Step { stage, outcome, text, place } in &self.steps {
            let mark = match outcome {
                Outcome::Against => '-',
                Outcome::For => '+',
                Outcome::Silent => ' ',
            };
            write!(f, "  {stage:<12} {mark} {text}")?;
            match place {
                Some(place) => writeln!(f, "  [{place}]")?,
                None => writeln!(f)?,
            }
        }
        match (self.allowed, self.would) {
            (true, Some(would)) => write!(f, "= allow, in shadow of deny {would}"),
            (true, None) => write!(f, "= allow"),
            (false, _) => write!(f, "= deny {}", self.reason),
        }
    }
}
