//! Which tenant a request acts for, and whether the caller belongs there.
//!
//! *What it decides:* every place that names a tenant (token, host, path, header) must name the same one, that tenant
//! must be registered and active, and the caller must be its member. Only then is there a [`Membership`].
//!
//! *What it must never do:* choose a tenant when the sources disagree, or fall back to another source when one is
//! silent. It reads no files: whoever compiles the policy hands it a [`Registry`] and [`Members`].
//!
//! *Who gives it what:* `policy` builds the registry and the directory out of YAML; `gate` calls [`enter`] with what a
//! verified token and the matched route say, or [`locate`] where a directory must first be asked.
//!
//! *How to add a source of tenants:* a variant of [`Source`]; the compiler then points at whoever must read it off a
//! request. A new way to know members: a variant of [`MembershipSource`] and its arm in [`enter`].
//!
//! ```
//! use tenancy::{Identity, Members, MembershipSource, Named, Registry, Source, Status, Tenant, enter};
//!
//! let registry: Registry = [Tenant::new("acme".parse()?, Status::Active)].into_iter().collect();
//! let (issuer, subject) = ("main".parse()?, "user-1".parse()?);
//! let roles = ["viewer".parse()?].into();
//! let identity = Identity {
//!     issuer: &issuer,
//!     subject: &subject,
//!     tenant: Some("acme"),
//!     roles: &roles,
//!     members: MembershipSource::Claims,
//!     naming: tenancy::Naming::Foreign,
//!     confined_to: None,
//!     speaks_for: None,
//!     realm: None,
//! };
//! let host = |tenant| [Named { source: Source::Host, tenant: Some(tenant) }];
//!
//! let membership = enter(&identity, &host("acme"), &registry, &Members::default())?;
//! assert_eq!(membership.tenant().as_str(), "acme");
//!
//! let outsider = enter(&identity, &host("globex"), &registry, &Members::default()).unwrap_err();
//! assert_eq!(outsider.reason(), terms::Reason::TenantMismatch);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod authentication;
mod bindings;
mod enter;
mod members;
mod registry;
mod revocations;
mod shared;

pub use authentication::{Authenticated, Authentication, Insufficient, Mfa};
pub use bindings::Bindings;
pub use enter::{
    Identity, Located, Membership, MembershipSource, Named, Naming, OpaqueTokens, Outsider, Source, Voucher, Why,
    choose, confine, enter, locate,
};
pub use members::Members;
pub use registry::{Registry, Status, Tenant, TenantRow};
pub use revocations::{Credential, Revocations, Revoked};
