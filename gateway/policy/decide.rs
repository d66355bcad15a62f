use std::fmt;
use std::sync::Arc;

use condition::Fault;
use terms::{Permission, Place, Reason, RoleName};

use crate::condition::{Facts, OnRoute, Proof};
use crate::glass::{Justification, Unjustified};
use crate::policy::Policy;
use crate::role::Rule;
use crate::route::{Access, Route};

/// What the policy says about a request. Made without allocating.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum Decision<'p> {
    /// It may be forwarded.
    Allow {
        /// The grant that says so; on a public route the route.
        rule: &'p RuleId,
    },
    /// It may, though no role grants it: its caller has said why it must be. That has to be on record.
    BreakGlass {
        /// The grant that lets whoever says why.
        rule: &'p RuleId,
        /// What was to be said, and where.
        justification: &'p Justification,
    },
    /// It may not.
    Deny(Denial<'p>),
}

/// Why a request may not be forwarded.
#[derive(Clone, Copy, Debug)]
pub enum Denial<'p> {
    /// A condition that decides cannot be worked out.
    Faulty {
        /// The rule that has it.
        rule: &'p RuleId,
        /// Why.
        fault: Fault,
    },
    /// A role of the member denies it, whatever other roles grant.
    Forbidden {
        /// The deny.
        rule: &'p RuleId,
        /// What was asked for.
        permission: &'p Permission,
    },
    /// The route has no permission for this method.
    NoPermission,
    /// No role of the member grants it.
    Ungranted {
        /// What was asked for.
        permission: &'p Permission,
    },
    /// No role grants it, and it would be let through if its caller said why it must be.
    Unjustified {
        /// The grant that would let it.
        rule: &'p RuleId,
        /// What has to be said, and where.
        justification: &'p Justification,
        /// What is wrong with what was said.
        why: Unjustified,
    },
    /// The condition of the route is not met.
    Unmet {
        /// The condition.
        rule: &'p RuleId,
    },
}

impl<'p> Denial<'p> {
    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Faulty { .. } => Reason::PolicyError,
            Self::Forbidden { .. } | Self::NoPermission | Self::Ungranted { .. } | Self::Unmet { .. } => {
                Reason::PolicyDenied
            }
            Self::Unjustified { .. } => Reason::PolicyJustification,
        }
    }

    /// The rule that denies, if one does.
    #[must_use]
    pub fn rule(&self) -> Option<&'p RuleId> {
        match self {
            Self::Faulty { rule, .. }
            | Self::Forbidden { rule, .. }
            | Self::Unjustified { rule, .. }
            | Self::Unmet { rule } => Some(rule),
            Self::NoPermission | Self::Ungranted { .. } => None,
        }
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faulty { rule, fault } => write!(f, "the condition of `{rule}` cannot be worked out: {fault}"),
            Self::Forbidden { rule, permission } => write!(f, "`{rule}` denies `{permission}`"),
            Self::NoPermission => f.write_str("the route has no permission for this method"),
            Self::Ungranted { permission } => write!(f, "no role grants `{permission}`"),
            Self::Unjustified { rule, justification, why } => {
                write!(f, "`{rule}` lets whoever gives {justification}: {why}")
            }
            Self::Unmet { rule } => write!(f, "the condition of `{rule}` is not met"),
        }
    }
}

/// What decided, for records: file, line and name, `roles.yaml:12 billing_reader`. At most 64 bytes of visible ASCII and
/// spaces. A clone shares the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleId {
    text: Arc<str>,
    name: Arc<str>,
}

impl RuleId {
    /// The longest text, in bytes.
    pub const MAX: usize = 64;

    /// Keeps the file's own name without its folders, and cuts that before it cuts the rule's name.
    pub(crate) fn new(place: &Place, name: &str) -> Self {
        let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
        let file = place.file.rsplit('/').next().unwrap_or_default();
        let line = place.line.to_string();
        let room = Self::MAX.saturating_sub(line.len() + 2 + name.len()).max(12);
        let mut text: String = file.chars().map(visible).take(room).collect();
        text.extend([":", &line, " ", name]);
        text.truncate(Self::MAX); // all of it is ASCII by now
        Self { text: text.into(), name: name.into() }
    }

    /// The rule as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The role whose grant or deny it is; on a public route the route.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Policy {
    /// Whether a member may use this route, whatever else is true of its request.
    ///
    /// `route` must come from this same policy: take one snapshot per request. Roles that the policy does not define
    /// grant nothing; [`Policy::unknown_roles`] counts them.
    ///
    /// Denies are joined as by CEL's `||`, and so are grants: one that counts decides, in whatever order they stand and
    /// whatever the others are. A condition that cannot be worked out never lets anything through.
    pub fn decide<'p>(&'p self, route: &'p Route, facts: &Facts<'_>) -> Decision<'p> {
        match &route.access {
            Access::Public => return Decision::Allow { rule: &route.rule },
            Access::Guarded { .. } | Access::Services { .. } => {}
        }
        let asked = route.asks.of(facts.method).and_then(|asked| Some((asked, self.permissions.get(asked)?)));
        let Some((asked, permission)) = asked else {
            return Decision::Deny(Denial::NoPermission);
        };
        let on_route = OnRoute::new(facts, route);
        let (mut grant, mut faulty_grant, mut faulty_deny) = (None, None, None);
        let tenant = facts.tenant.map(|tenant| tenant.id.as_str());
        for role in facts.roles.iter().filter_map(|name| self.role(tenant, name.as_str())) {
            for Rule { id: rule, proviso } in role.denies.of(asked) {
                match proviso.bars(&on_route) {
                    Ok(true) => return Decision::Deny(Denial::Forbidden { rule, permission }),
                    Ok(false) => {}
                    Err(fault) => faulty_deny = faulty_deny.or(Some((rule, fault))),
                }
            }
            for Rule { id: rule, proviso } in role.allows.of(asked) {
                if grant.is_some() {
                    break;
                }
                match proviso.lets(&on_route) {
                    Ok(true) => grant = Some(rule),
                    Ok(false) => {}
                    Err(fault) => faulty_grant = faulty_grant.or(Some((rule, fault))),
                }
            }
        }
        // FAIL CLOSED: a deny of which nobody can say whether it counts does, and a grant does not.
        let glass = match (&faulty_deny, &grant) {
            (None, None) => self.glass(asked, facts, &on_route),
            (Some(_), _) | (None, Some(_)) => None,
        };
        let faulty = faulty_deny.or(faulty_grant.filter(|_| grant.is_none() && glass.is_none()));
        let decision = match (faulty, grant, glass) {
            (Some((rule, fault)), ..) => return Decision::Deny(Denial::Faulty { rule, fault }),
            (None, None, None) => return Decision::Deny(Denial::Ungranted { permission }),
            (None, None, Some(glass)) => glass,
            (None, Some(rule), _) => Decision::Allow { rule },
        };
        // ORDER: before anybody is told that a justification would help.
        match route.when.as_ref().map(|when| (when, on_route.holds(when))) {
            None | Some((_, Ok(true))) => decision,
            Some((when, Ok(false))) => Decision::Deny(Denial::Unmet { rule: &when.rule }),
            Some((when, Err(fault))) => Decision::Deny(Denial::Faulty { rule: &when.rule, fault }),
        }
    }

    /// What a justification does for a request that no role grants and none denies. Nothing, if it does nothing.
    fn glass<'p>(&'p self, asked: usize, facts: &Facts<'_>, on_route: &OnRoute<'_>) -> Option<Decision<'p>> {
        // FAIL CLOSED: it is for people. Programs have no emergencies, and nobody to ask afterwards.
        if facts.caller.is_none_or(|caller| caller.by != Proof::Token) {
            return None;
        }
        let tenant = facts.tenant.map(|tenant| tenant.id.as_str());
        let roles = facts.roles.iter().filter_map(|name| self.role(tenant, name.as_str()));
        let mut unjustified = None;
        for Rule { id: rule, proviso } in roles.flat_map(|role| role.glass.of(asked)) {
            let (Some(justification), Ok(true)) = (&proviso.justified, proviso.lets(on_route)) else { continue };
            match justification.read(facts.headers) {
                Ok(_) => return Some(Decision::BreakGlass { rule, justification }),
                Err(why) => {
                    let denial = Denial::Unjustified { rule, justification, why };
                    unjustified = unjustified.or(Some(Decision::Deny(denial)));
                }
            }
        }
        unjustified
    }

    /// How many of these roles the policy does not define for all.
    #[must_use]
    pub fn unknown_roles(&self, roles: &[RoleName]) -> usize {
        roles.iter().filter(|name| !self.roles.contains_key(name.as_str())).count()
    }
}
