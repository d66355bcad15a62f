use std::fmt;
use std::sync::Arc;

use terms::{Permission, Place, Reason, RoleName};

use crate::policy::Policy;
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
    /// It may not.
    Deny(Denial<'p>),
}

/// Why a request may not be forwarded.
#[derive(Clone, Copy, Debug)]
pub enum Denial<'p> {
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
}

impl<'p> Denial<'p> {
    /// The word for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Forbidden { .. } | Self::NoPermission | Self::Ungranted { .. } => Reason::PolicyDenied,
        }
    }

    /// The rule that denies, if one does.
    #[must_use]
    pub fn rule(&self) -> Option<&'p RuleId> {
        match self {
            Self::Forbidden { rule, .. } => Some(rule),
            Self::NoPermission | Self::Ungranted { .. } => None,
        }
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden { rule, permission } => write!(f, "`{rule}` denies `{permission}`"),
            Self::NoPermission => f.write_str("the route has no permission for this method"),
            Self::Ungranted { permission } => write!(f, "no role grants `{permission}`"),
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
    /// Whether a member with these roles may use this route with this method.
    ///
    /// `route` must come from this same policy: take one snapshot per request. Roles that the policy does not define
    /// grant nothing; [`Policy::unknown_roles`] counts them.
    pub fn decide<'p>(&'p self, route: &'p Route, method: &str, roles: &[RoleName]) -> Decision<'p> {
        match &route.access {
            Access::Public => return Decision::Allow { rule: &route.rule },
            Access::Guarded { .. } | Access::Services { .. } => {}
        }
        let asked = route.asks.of(method).and_then(|asked| Some((asked, self.permissions.get(asked)?)));
        let Some((asked, permission)) = asked else {
            return Decision::Deny(Denial::NoPermission);
        };
        let mut grant = None;
        for role in roles.iter().filter_map(|name| self.roles.get(name.as_str())) {
            if let Some(rule) = role.denies.get(asked) {
                return Decision::Deny(Denial::Forbidden { rule, permission });
            }
            grant = grant.or_else(|| role.allows.get(asked));
        }
        match grant {
            Some(rule) => Decision::Allow { rule },
            None => Decision::Deny(Denial::Ungranted { permission }),
        }
    }

    /// How many of these roles the policy does not define.
    #[must_use]
    pub fn unknown_roles(&self, roles: &[RoleName]) -> usize {
        roles.iter().filter(|name| !self.roles.contains_key(name.as_str())).count()
    }
}
