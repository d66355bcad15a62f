use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// Why a text is not a name that a file may give to something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidName {
    /// A byte outside letters, digits and the punctuation `_ - . : /`.
    #[error("a name has only letters, digits, `_`, `-`, `.`, `:` and `/`")]
    Alphabet,
    /// Nothing at all.
    #[error("a name is not empty")]
    Empty,
    /// More bytes than that.
    #[error("a name has at most {0} characters")]
    Long(usize),
    /// Something other than a letter or digit at the start.
    #[error("a name starts with a letter or a digit")]
    Start,
}

/// The longest name, in bytes.
const LONGEST: usize = 64;

fn parse(text: &str, longest: usize) -> Result<Arc<str>, InvalidName> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(byte);
    match text.as_bytes() {
        [] => Err(InvalidName::Empty),
        [first, ..] if !first.is_ascii_alphanumeric() => Err(InvalidName::Start),
        bytes if bytes.len() > longest => Err(InvalidName::Long(longest)),
        bytes if !bytes.iter().all(allowed) => Err(InvalidName::Alphabet),
        _ => Ok(text.into()),
    }
}

/// One type per kind of name, so that two of them cannot be swapped.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        name!($(#[$doc])* $name, LONGEST);
    };
    ($(#[$doc:meta])* $name:ident, $longest:expr) => {
        $(#[$doc])*
        /// 1 to 64 bytes (where not said otherwise): a letter or digit, then letters, digits and `_ - . : /`.
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text, $longest).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// So that a map keyed by names can be asked with text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// What `cloister.yaml` calls an issuer of tokens. Not its URL: that is the `iss` claim. Up to 128 bytes: see
    /// [`IssuerId::of_tenant`].
    IssuerId, LONGEST + 1 + TenantId::MAX
);
impl IssuerId {
    /// What records call the issuer of one tenant, where `self` stands for those of many: `realms/acme`. A subject is
    /// unique within that one alone.
    #[must_use]
    pub fn of_tenant(&self, tenant: &TenantId) -> Self {
        Self(format!("{self}/{tenant}").into())
    }
}

name!(
    /// What cloister.yaml calls a claim of tokens.
    ClaimName
);
name!(
    /// What a tenant has bought.
    PlanId
);
name!(
    /// Where a tenant is at home.
    RegionId
);
name!(
    /// What a policy file calls a limit.
    LimitId
);
name!(
    /// A role (NIST RBAC, INCITS 359): what a member is within its tenant. From claims or from the directory.
    RoleName
);
name!(
    /// What a policy file calls a route. It stands in records and metrics in place of the path.
    RouteId
);
name!(
    /// What `cloister.yaml` calls a backend and the addresses it runs on.
    UpstreamId
);
