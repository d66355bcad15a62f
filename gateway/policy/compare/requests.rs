//! Who may send which requests.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use terms::{Reason, RoleName, TenantId};

use crate::Service;
use crate::compare::{Change, Turn};
use crate::method::METHODS;
use crate::outlook::Outlook;
use crate::pattern::{HostPattern, PathPattern};
use crate::policy::Policy;
use crate::route::{Access, Route};

/// A method that no file can name: it stands for all others.
const OTHER: &str = "OTHER";

/// Who asks.
#[derive(Clone, Debug)]
enum Who {
    /// Somebody without a token.
    Everybody,
    /// A member with this role and no other, of this tenant if it is one of its own.
    Role(RoleName, Option<TenantId>),
    Service(Arc<Service>),
}

impl Who {
    fn name(&self) -> String {
        match self {
            Self::Everybody => "everybody".to_owned(),
            Self::Role(role, None) => format!("role {role}"),
            Self::Role(role, Some(tenant)) => format!("role {role} of {tenant}"),
            Self::Service(service) => format!("service {}", service.name),
        }
    }
}

/// One request of each kind that either policy tells from others.
pub(crate) struct Sample {
    pub(crate) host: String,
    pub(crate) path: String,
}

pub(super) fn compare(old: &Policy, new: &Policy, changes: &mut BTreeSet<Change>) {
    let everyone = everyone(old, new);
    // Of one kind of change there is one line, with all its methods.
    let mut found: BTreeMap<Change, BTreeSet<&str>> = BTreeMap::new();
    for Sample { host, path } in samples(old, new) {
        for method in METHODS.into_iter().chain([OTHER]) {
            let (before, after) = (old.route(&host, &path, method), new.route(&host, &path, method));
            let (before, after) = (before.map(|it| &**it.route), after.map(|it| &**it.route));
            let Some(described) = after.or(before) else { continue };
            for who in &everyone {
                let (was, will_be) = (outlook(old, before, method, who), outlook(new, after, method, who));
                let turn = match will_be.rank().cmp(&was.rank()) {
                    _ if was == will_be => continue,
                    Ordering::Greater => Turn::Gains,
                    Ordering::Less => Turn::Loses,
                    // Whoever is not served at all is told why in another word: that is no news of a role.
                    Ordering::Equal if was.rank() == 0 => continue,
                    Ordering::Equal => Turn::Differs,
                };
                let what = format!("{}{}", described.host, described.template);
                let change = Change { turn, who: who.name(), what, before: was.text(), after: will_be.text() };
                found.entry(change).or_default().insert(method);
            }
        }
    }
    changes.extend(found.into_iter().map(|(change, methods)| {
        let methods: Vec<&str> = methods.into_iter().collect();
        let methods = if methods.len() > METHODS.len() { "*".to_owned() } else { methods.join(",") };
        Change { what: format!("{methods} {}", change.what), ..change }
    }));
}

fn everyone(old: &Policy, new: &Policy) -> Vec<Who> {
    let roles: BTreeSet<&RoleName> = old.roles().chain(new.roles()).collect();
    let own: BTreeSet<(&RoleName, &TenantId)> = own(old).chain(own(new)).collect();
    // A service is what the new files say that it is; one that is gone, what the old ones said.
    let gone = old.services().iter().filter(|service| new.services().named(service.name.as_str()).is_none());
    let services = new.services().iter().chain(gone).map(|service| Who::Service(Arc::clone(service)));
    let roles = roles.into_iter().map(|role| Who::Role(role.clone(), None));
    let own = own.into_iter().map(|(role, tenant)| Who::Role(role.clone(), Some(tenant.clone())));
    std::iter::once(Who::Everybody).chain(roles).chain(own).chain(services).collect()
}

/// The roles that tenants have made, each with whose it is.
fn own(policy: &Policy) -> impl Iterator<Item = (&RoleName, &TenantId)> {
    policy.own_roles.iter().flat_map(|(tenant, roles)| roles.keys().map(move |role| (role, tenant)))
}

fn outlook(policy: &Policy, route: Option<&Route>, method: &str, who: &Who) -> Outlook {
    let Some(route) = route else { return Outlook::Refused(Reason::RouteUnknown) };
    let none = Vec::new();
    let named = |service: &Service| policy.services().named(service.name.as_str());
    let roles = match (&route.access, who) {
        (Access::Public, Who::Everybody) => &none[..],
        // What everybody may do, those with a role may do, too: it is said once.
        (Access::Public, Who::Role(..) | Who::Service(_)) => return Outlook::Refused(Reason::RouteUnknown),
        (Access::Guarded { .. }, Who::Everybody | Who::Service(_)) => return Outlook::Refused(Reason::AuthMissing),
        (Access::Guarded { .. }, Who::Role(role, _)) => std::slice::from_ref(role),
        (Access::Services { .. }, Who::Everybody | Who::Role(..)) => {
            return Outlook::Refused(Reason::AuthInvalidService);
        }
        (Access::Services { authorities, .. }, Who::Service(service)) => match named(service) {
            Some(service) if authorities.contains(&service.authority) => &service.roles[..],
            Some(_) | None => return Outlook::Refused(Reason::AuthInvalidService),
        },
    };
    let tenant = match who {
        Who::Role(_, tenant) => tenant.as_ref(),
        Who::Service(service) => Some(&service.tenant),
        Who::Everybody => None,
    };
    policy.outlook(route, method, tenant.map(TenantId::as_str), roles)
}

/// Of each host that either policy names: the paths of each pattern, and of what each two have in common.
pub(crate) fn samples(old: &Policy, new: &Policy) -> Vec<Sample> {
    let patterns: Vec<(&HostPattern, &PathPattern)> =
        old.routes.iter().chain(&new.routes).map(|route| (&route.pattern.host, &route.pattern.path)).collect();
    let hosts: BTreeSet<String> = patterns.iter().map(|(host, _)| host.sample()).collect();
    let deepest = patterns.iter().map(|(_, path)| path.segments.len()).max().unwrap_or(0);
    let depths: Vec<usize> = (0..=deepest + 1).collect();
    let mut samples = Vec::new();
    for host in hosts {
        let mut here: Vec<&PathPattern> = Vec::new();
        for (of, path) in &patterns {
            if of.matches(&host).is_some() && !here.contains(path) {
                here.push(path);
            }
        }
        let mut paths: BTreeSet<String> = here.iter().flat_map(|path| path.samples(&depths)).collect();
        for (at, one) in here.iter().enumerate() {
            for two in here.iter().skip(at + 1) {
                paths.extend(one.meet(two).iter().flat_map(|both| both.samples(&depths)));
            }
        }
        samples.extend(paths.into_iter().map(|path| Sample { host: host.clone(), path }));
    }
    samples
}
