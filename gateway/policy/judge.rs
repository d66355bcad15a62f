use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tenancy::{Authenticated, Identity, Membership, MembershipSource, Named, Naming, Outsider, Source, Tenant, locate};
use terms::{Binding, Claimed, IssuerId, Reason, RoleName, Subject, TenantId, UpstreamId};

use crate::condition::{Caller, Facts, Proof};
use crate::decide::{Decision, RuleId};
use crate::known::DirectoryAt;
use crate::policy::Policy;
use crate::route::{AcceptsKeys, Access, Mode, TenantSource};
use crate::service::Service;
use crate::table::Matched;

/// A request that nobody has sent: for tests of policies and for explanations.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which request.
    pub request: Asked,
    /// Whose token comes with it; `None` if none does.
    pub asker: Option<Asker>,
    /// The client's address; `None` if the lists of clients are not to be asked.
    pub client: Option<IpAddr>,
    /// When it comes; `None` if conditions are not to know.
    pub now: Option<SystemTime>,
    /// Header fields; names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Method, host and path: `GET https://acme.example.com/api/orders`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    method: String,
    url: String,
    host: String,
    path: String,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The service that shows its certificate, in place of a token.
    pub service: Option<Arc<Service>>,
    /// What is known of the API key that is shown in place of a token; then `issuer` is whoever vouches for keys.
    pub key: Option<ShownKey>,
    /// Its issuer; `None` for the first that the route accepts.
    pub issuer: Option<IssuerId>,
    /// Its subject.
    pub subject: Subject,
    /// The tenant that it names.
    pub tenant: Option<String>,
    /// The roles that it carries.
    pub roles: Arc<[RoleName]>,
    /// What makes it more than a text that somebody has.
    pub assurance: Assurance,
}

/// An API key that is shown in place of a token.
#[derive(Clone, Debug)]
pub struct ShownKey {
    /// What it is called.
    pub id: String,
    /// What is known of it: `good until …`.
    pub standing: String,
    /// Why it lets nobody in, if it does not.
    pub refused: Option<Reason>,
}

/// What makes a token more than a text that somebody has.
#[derive(Clone, Debug, Default)]
pub struct Assurance {
    /// What it is bound to; that the client shows that goes without saying.
    pub bound_to: Vec<Binding>,
    /// How sure the issuer is (`acr`).
    pub acr: Option<Box<str>>,
    /// By what means its user has proven itself (`amr`).
    pub amr: Vec<Box<str>>,
    /// How long ago (`auth_time`).
    pub age: Option<Duration>,
    /// What the token may be used for, with a space between each two.
    pub scopes: String,
    /// The claims that tokens are asked for, by their place.
    pub claims: Vec<Claimed>,
}

/// Nobody knows the time here, and nobody needs to: what counts is how long ago something was.
const NOW: u64 = 1 << 40;

impl Assurance {
    /// What such a token says, if it was issued just now.
    fn said(&self) -> Authenticated<'_> {
        let at = self.age.map(|age| NOW.saturating_sub(age.as_secs()));
        Authenticated { acr: self.acr.as_deref(), amr: &self.amr, at, issued_at: Some(NOW) }
    }
}

/// Why a text is not a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidQuestion {
    /// No host, or one that cannot be.
    #[error("the URL has no host, or one that is not a host")]
    Host,
    /// Not a method.
    #[error("a method is written in upper-case letters")]
    Method,
    /// A path that never gets as far as a route.
    #[error("this path is not canonical: it would be refused before any route is looked at")]
    Path,
    /// Not a method and a URL.
    #[error("a request is a method and an absolute URL: `GET https://acme.example.com/api/orders`")]
    Shape,
}

/// How far a question came, and how it ended.
pub(crate) struct Verdict<'p, 'r> {
    pub(crate) matched: Option<Matched<'p, 'r>>,
    pub(crate) issuer: Option<(&'r IssuerId, Option<MembershipSource>)>,
    pub(crate) named: Vec<(&'p TenantSource, Option<&'r str>)>,
    pub(crate) entered: Option<Result<Membership, Outsider>>,
    pub(crate) decision: Option<Decision<'p>>,
    pub(crate) upstream: Option<&'p UpstreamId>,
    pub(crate) reason: Reason,
    /// Why authorisation would have refused it, if the route were not in shadow.
    pub(crate) would: Option<Reason>,
}

impl<'p, 'r> Verdict<'p, 'r> {
    fn new() -> Self {
        Self {
            matched: None,
            issuer: None,
            named: Vec::new(),
            entered: None,
            decision: None,
            upstream: None,
            reason: Reason::RouteUnknown,
            would: None,
        }
    }

    fn ends(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    /// What is granted still needs somewhere to go.
    fn placed(self, upstream: Option<&'p UpstreamId>) -> Self {
        let reason = if upstream.is_some() { Reason::Allowed } else { Reason::TenantUnplaced };
        Self { upstream, ..self }.ends(reason)
    }

    /// The rule that the decision rests on.
    pub(crate) fn rule(&self) -> Option<&'p RuleId> {
        match self.decision? {
            Decision::Allow { rule } | Decision::BreakGlass { rule, .. } => Some(rule),
            Decision::Deny(denial) => denial.rule(),
        }
    }

    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        match self.entered.as_ref()? {
            Ok(membership) => Some(membership.tenant()),
            Err(outsider) => outsider.tenant(),
        }
    }
}

impl Policy {
    /// Walks a question through the same look-ups that a request goes through, in the same order.
    pub(crate) fn judge<'r>(&'r self, question: &'r Question) -> Verdict<'r, 'r> {
        let Asked { host, path, method, .. } = &question.request;
        let mut verdict = Verdict::new();
        let Some(matched) = self.route(host, path, method) else {
            return verdict;
        };
        verdict.matched = Some(matched);
        let route = matched.route;
        let by_token = question.asker.as_ref().is_some_and(|asker| asker.service.is_none());
        let (issuers, tenant_from, demands) = match &route.access {
            Access::Public => {
                verdict.decision = Some(self.decide(route, &Facts::new(method, &[])));
                return verdict.placed(route.upstream.of(None));
            }
            Access::Services { .. } if by_token || question.asker.is_none() => {
                return verdict.ends(Reason::AuthInvalidService);
            }
            Access::Services { authorities, tenant_from } => (authorities, tenant_from, None),
            Access::Guarded { .. } if !by_token => return verdict.ends(Reason::AuthMissing),
            Access::Guarded { issuers, tenant_from, demands, keys } => {
                let key = question.asker.as_ref().and_then(|asker| asker.key.as_ref());
                match key {
                    Some(_) if *keys == AcceptsKeys::No => return verdict.ends(Reason::AuthMissing), // it is not looked for
                    Some(ShownKey { refused: Some(reason), .. }) => return verdict.ends(*reason),
                    // What a token must have besides is nothing that a key could have.
                    Some(ShownKey { refused: None, .. }) => (issuers, tenant_from, None),
                    None => (issuers, tenant_from, Some(demands)),
                }
            }
        };
        let Some(asker) = &question.asker else {
            return verdict.ends(Reason::AuthMissing);
        };
        let by_key = asker.key.is_some();
        let by_token = by_token && !by_key;
        let issuer = asker.issuer.as_ref().or_else(|| issuers.first());
        // A service carries its roles, as a token of an issuer does that says itself who is a member.
        let members = |issuer| self.voucher(issuer).map(|voucher| voucher.members);
        let source = |issuer| if by_token { members(issuer) } else { Some(MembershipSource::Claims) };
        let issuer = issuer.map(|issuer| (issuer, source(issuer)));
        verdict.issuer = issuer;
        // FAIL CLOSED: an issuer that the configuration does not know is one that the route does not accept.
        let Some((issuer, Some(members))) = issuer.filter(|(issuer, _)| by_key || issuers.contains(issuer)) else {
            return verdict.ends(if by_token || by_key {
                Reason::AuthInvalidIssuer
            } else {
                Reason::AuthInvalidService
            });
        };
        let held = &asker.assurance.bound_to;
        let bound = |demanded: &[Binding]| demanded.is_empty() || demanded.iter().any(|it| held.contains(it));
        let of_issuer = self.voucher(issuer).filter(|_| by_token).is_none_or(|voucher| bound(&voucher.bound_to));
        if !of_issuer || !demands.is_none_or(|demands| bound(&demands.bound_to)) {
            return verdict.ends(Reason::AuthInvalidUnbound);
        }
        let header = |name: &str| {
            let mut found = question.headers.iter().filter(|(known, _)| known == name);
            found.next().map(|(_, value)| value.as_str())
        };
        let mut named = Vec::with_capacity(tenant_from.len());
        for source in tenant_from {
            let (kind, tenant) = match source {
                TenantSource::Certificate => {
                    let service = asker.service.as_ref();
                    (Source::Certificate, service.map(|service| service.tenant.as_str()))
                }
                TenantSource::Header(name) => (Source::Header, header(name)),
                TenantSource::Host => (Source::Host, matched.tenant_in_host),
                TenantSource::Path => (Source::Path, matched.tenant_in_path),
                TenantSource::Token => (Source::Token, asker.tenant.as_deref()),
            };
            verdict.named.push((source, tenant));
            named.push(Named { source: kind, tenant });
        }
        let identity = Identity {
            issuer,
            subject: &asker.subject,
            tenant: asker.tenant.as_deref(),
            roles: &asker.roles,
            members,
            naming: if by_token { Naming::Foreign } else { Naming::Ours },
            realm: None,
            speaks_for: self.voucher(issuer).and_then(|voucher| voucher.tenants.as_deref()),
            confined_to: asker.service.as_ref().map(|service| &service.only),
        };
        let entered = locate(&identity, &named, &self.tenants).and_then(|located| {
            let tenant = located.asks_directory();
            located.join(tenant.and_then(|tenant| self.in_directory(tenant, asker, members)))
        });
        let membership = match entered {
            Ok(membership) => membership,
            Err(outsider) => {
                let reason = outsider.reason();
                verdict.entered = Some(Err(outsider));
                return verdict.ends(reason);
            }
        };
        let tenant = self.tenants.get(membership.tenant().as_str());
        let admitted = question.client.is_none_or(|client| tenant.is_some_and(|tenant| tenant.clients.admit(client)));
        if !admitted {
            verdict.entered = Some(Ok(membership));
            return verdict.ends(Reason::ClientDenied);
        }
        if let (Some(demands), Some(tenant)) = (demands, tenant) {
            let said = asker.assurance.said();
            let enough = demands.authentication.met_by(&said, NOW).and_then(|()| tenant.is_content_with(&said, NOW));
            if let Err(why) = enough {
                verdict.entered = Some(Ok(membership));
                return verdict.ends(why.reason());
            }
        }
        let decision = self.decide(route, &question.facts(issuer, membership.roles(), tenant));
        let upstream = route.upstream.of(Some(&membership));
        verdict.entered = Some(Ok(membership));
        verdict.decision = Some(decision);
        match decision {
            Decision::Allow { .. } | Decision::BreakGlass { .. } => verdict.placed(upstream),
            Decision::Deny(denial) if route.mode == Mode::Shadow => {
                verdict.would = Some(denial.reason());
                verdict.placed(upstream)
            }
            Decision::Deny(denial) => verdict.ends(denial.reason()),
        }
    }
}

impl Question {
    /// What is true of it, once it is known who vouches for its asker, and which tenant it is about.
    pub(crate) fn facts<'a>(
        &'a self,
        issuer: &'a IssuerId,
        roles: &'a [RoleName],
        tenant: Option<&'a Tenant>,
    ) -> Facts<'a> {
        let Self { request, asker, client, now, headers } = self;
        let caller = asker.as_ref().map(|asker| Caller {
            issuer,
            subject: &asker.subject,
            by: match (&asker.service, &asker.key) {
                (Some(_), _) => Proof::Certificate,
                (None, Some(key)) => Proof::Key(&key.id),
                (None, None) => Proof::Token,
            },
            acr: asker.assurance.acr.as_deref(),
            amr: &asker.assurance.amr,
            age: asker.assurance.age,
            scopes: Some(&asker.assurance.scopes),
            claimed: &asker.assurance.claims,
        });
        let Asked { method, host, path, url: _ } = request;
        Facts { method, host, path, client: *client, now: *now, caller, tenant, roles, headers: Some(headers) }
    }
}

impl Policy {
    /// What the directory knows of an asker. Of a database nothing is known here: the roles that the question gives are those
    /// in it, and an asker of whom it gives none is not there.
    fn in_directory(&self, tenant: &TenantId, asker: &Asker, source: MembershipSource) -> Option<Arc<[RoleName]>> {
        match (self.directory, source) {
            (DirectoryAt::Database, MembershipSource::Directory) if !asker.roles.is_empty() => {
                Some(Arc::clone(&asker.roles))
            }
            (DirectoryAt::Database, _) => None,
            (DirectoryAt::Files, _) => self.members.roles(tenant, &asker.subject).cloned(),
        }
    }
}

impl Asked {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The host, in lower case and without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path, decoded, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Asked {
    type Err = InvalidQuestion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (method, url) = text.trim().split_once(' ').ok_or(InvalidQuestion::Shape)?;
        let url = url.trim_start();
        if method.is_empty() || method.len() > 32 || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidQuestion::Method);
        }
        let (scheme, rest) = url.split_once("://").ok_or(InvalidQuestion::Shape)?;
        if !["http", "https", "ws", "wss"].contains(&scheme) {
            return Err(InvalidQuestion::Shape);
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.find('/').and_then(|slash| rest.split_at_checked(slash)) {
            Some((authority, path)) => (authority, path),
            None => (rest, "/"),
        };
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let wrong = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
        if host.is_empty() || host.bytes().any(wrong) || (host.contains(':') && !host.starts_with('[')) {
            return Err(InvalidQuestion::Host);
        }
        let path = decoded(path).filter(|path| is_canonical(path)).ok_or(InvalidQuestion::Path)?;
        Ok(Self { method: method.to_owned(), url: url.to_owned(), host: host.to_ascii_lowercase(), path })
    }
}

/// The path as a backend reads it; nothing if it has characters or escapes that are refused.
fn decoded(path: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&byte);
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    let mut plain = bytes.iter().copied().all(allowed);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        plain &= digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && rest.bytes().all(allowed);
        let byte = u8::from_str_radix(digits, 16).ok()?;
        plain &= !b"/\\%;".contains(&byte);
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|path| plain && !path.contains(char::is_control))
}

/// What is true of the segments of every path that gets as far as a route.
fn is_canonical(path: &str) -> bool {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == "." || segment == ".." || (segment.is_empty() && segments.peek().is_some()) {
            return false;
        }
    }
    true
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_method_and_an_absolute_url() {
        for (text, expected) in [
            ("GET https://Acme.localhost:8443/a/b?c=d", Ok(("acme.localhost", "/a/b"))),
            ("GET http://acme.localhost", Ok(("acme.localhost", "/"))),
            ("GET http://[::1]:80/a", Ok(("[::1]", "/a"))),
            ("GET http://[::1]/a/", Ok(("[::1]", "/a/"))),
            ("GET http://a/%40%c3%a9", Ok(("a", "/@é"))),
            ("GET http://a/b%2Fc", Err(InvalidQuestion::Path)),
            ("GET http://a/b%252e", Err(InvalidQuestion::Path)),
            ("GET http://a/%2e%2E/c", Err(InvalidQuestion::Path)),
            ("GET http://a/%+1", Err(InvalidQuestion::Path)),
            ("GET http://a/%ff", Err(InvalidQuestion::Path)),
            ("GET http://a/%00", Err(InvalidQuestion::Path)),
            ("GET http://a/\"", Err(InvalidQuestion::Path)),
            ("GET /a", Err(InvalidQuestion::Shape)),
            ("get http://a/", Err(InvalidQuestion::Method)),
            ("GET ftp://a/", Err(InvalidQuestion::Shape)),
            ("GET http:///a", Err(InvalidQuestion::Host)),
            ("GET http://u@a/", Err(InvalidQuestion::Host)),
            ("GET http://a/b//c", Err(InvalidQuestion::Path)),
            ("GET http://a/../c", Err(InvalidQuestion::Path)),
            ("GET http://a/b;c", Err(InvalidQuestion::Path)),
        ] {
            let asked = text.parse::<Asked>();
            assert_eq!(asked.as_ref().map(|asked| (asked.host(), asked.path())).map_err(|e| *e), expected, "{text}");
        }
    }
}
