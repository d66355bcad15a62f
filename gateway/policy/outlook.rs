use std::collections::BTreeSet;

use terms::{Reason, RoleName};

use crate::policy::Policy;
use crate::role::{Of, Proviso, Rule};
use crate::route::{Access, Mode, Route};

/// What becomes of a member's requests, as far as that can be said without a request: what a condition decides is left open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outlook {
    /// They are served.
    Allowed,
    /// It depends on this. Two of the same text depend on the same.
    Depends(String),
    /// They are refused, and pass all the same, as their route is in shadow.
    Shadowed(Reason),
    /// They are refused.
    Refused(Reason),
}

impl Outlook {
    /// How much of it is served: nothing, some, all.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Refused(_) => 0,
            Self::Depends(_) => 1,
            Self::Allowed | Self::Shadowed(_) => 2,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Allowed => "allowed".to_owned(),
            Self::Depends(on) => on.clone(),
            Self::Shadowed(reason) => format!("in shadow: {reason}"),
            Self::Refused(reason) => reason.to_string(),
        }
    }
}

impl Policy {
    /// The outlook of members of this tenant with these roles, by the same rules as [`Policy::decide`].
    pub(crate) fn outlook(&self, route: &Route, method: &str, tenant: Option<&str>, roles: &[RoleName]) -> Outlook {
        match &route.access {
            Access::Public => return Outlook::Allowed,
            Access::Guarded { .. } | Access::Services { .. } => {}
        }
        let refused = match route.mode {
            Mode::Enforce => Outlook::Refused(Reason::PolicyDenied),
            Mode::Shadow => Outlook::Shadowed(Reason::PolicyDenied),
        };
        let Some(asked) = route.asks.of(method) else { return refused };
        let roles: Vec<_> = roles.iter().filter_map(|name| self.role(tenant, name.as_str())).collect();
        let grants: Vec<&Rule> = roles.iter().flat_map(|role| role.allows.of(asked)).collect();
        // Programs break no glass.
        let by_people = !matches!(route.access, Access::Services { .. });
        let glass: Vec<&Rule> = roles.iter().filter(|_| by_people).flat_map(|role| role.glass.of(asked)).collect();
        if (grants.is_empty() && glass.is_empty()) || roles.iter().any(|role| role.denies.always(asked)) {
            return refused;
        }
        let denies: BTreeSet<String> =
            roles.iter().flat_map(|role| role.denies.of(asked)).map(|rule| text(&rule.proviso)).collect();
        let always = roles.iter().any(|role| role.allows.always(asked));
        let grants: BTreeSet<String> =
            grants.iter().chain(&glass).filter(|_| !always).map(|rule| text(&rule.proviso)).collect();
        let when = route.when.as_ref().map(|when| when.program.text());
        if always && denies.is_empty() && when.is_none() {
            return Outlook::Allowed;
        }
        if route.mode == Mode::Shadow {
            return Outlook::Shadowed(Reason::PolicyDenied);
        }
        let any = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join(" or ");
        let mut parts = Vec::new();
        if !grants.is_empty() {
            parts.push(format!("if {}", any(grants)));
        }
        if !denies.is_empty() {
            parts.push(format!("unless {}", any(denies)));
        }
        parts.extend(when.map(|when| format!("when {when}")));
        Outlook::Depends(parts.join(", "))
    }
}

fn text(proviso: &Proviso) -> String {
    let own = (proviso.of == Of::Own).then(|| "own".to_owned());
    let when = proviso.when.as_ref().map(|when| format!("`{}`", when.program.text()));
    let why = proviso.justified.as_ref().map(ToString::to_string);
    own.into_iter().chain(when).chain(why).collect::<Vec<_>>().join(" and ")
}
