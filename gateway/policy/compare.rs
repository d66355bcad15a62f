//! What another set of files would change: who may do more than before, who less, and what is asked of everybody else.

mod demands;
mod limits;
mod requests;
mod tenants;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::policy::Policy;
pub(crate) use requests::samples;

/// One thing that is not as it was.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Change {
    /// In which direction.
    pub turn: Turn,
    /// For whom: `role clerk`, `everybody`, `service billing`, `tenant acme`, `user u-1 of acme`, `route orders`.
    pub who: String,
    /// What it is about: `DELETE {tenant}.example.com/api/orders/{id}`, or the name of a setting.
    pub what: String,
    /// How it was.
    pub before: String,
    /// How it would be.
    pub after: String,
}

/// The direction of a change.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Something is served that was refused.
    Gains,
    /// Something is refused that was served.
    Loses,
    /// Neither alone: look at it.
    Differs,
}

impl Turn {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::Differs => "differs",
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Policy {
    /// What another policy would change: gains first, as they are what a mistake costs most.
    ///
    /// Every kind of request that either policy tells from others is looked at with every role, everybody and every service, by
    /// the same look-ups as real requests. What tokens, backends and counts decide is not.
    #[must_use]
    pub fn compare(&self, new: &Self) -> Vec<Change> {
        let mut changes = BTreeSet::new();
        requests::compare(self, new, &mut changes);
        demands::compare(self, new, &mut changes);
        limits::compare(self, new, &mut changes);
        tenants::compare(self, new, &mut changes);
        changes.into_iter().collect()
    }
}
