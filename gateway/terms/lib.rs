//! The words that every part of Cloister shares.
//!
//! *What it decides:* what a tenant, a subject, a role, a permission, a reason may look like. A value that has one of
//! these types has been checked where it entered; nothing behind the edge looks again.
//!
//! *What it must never do:* reach the network, a file or the clock of the machine; know what a request is.
//!
//! *Who gives it what:* the edge (ingress, token, the compilers of YAML) parses text into these types.
//!
//! *How to add a word:* one file, one type, `FromStr` that refuses what does not print back the same, a doc line that
//! says the shape; a line below. A word that only one part uses belongs to that part.
#![forbid(unsafe_code)]

mod addresses;
mod author;
mod binding;
mod breaker;
mod chain;
mod claimed;
mod clients;
mod clock;
mod finding;
mod foreign;
mod hex;
mod ids;
mod issuer_set;
mod live;
mod nearest;
mod networks;
mod permission;
mod place;
mod pointer;
mod reason;
mod request_id;
mod reserved;
mod retention_class;
mod subject;
mod surrogate;
mod tenant_id;
mod units;
mod weight;
mod zone;

pub use addresses::{is_loopback_name, is_private, is_special};
pub use author::{Author, InvalidAuthor};
pub use binding::{Binding, InvalidBinding, Nonce};
pub use breaker::{Attempt, Breaker};
pub use chain::chain;
pub use claimed::Claimed;
pub use clients::Clients;
pub use clock::{Clock, ManualClock, SystemClock};
pub use finding::{Finding, Findings, Quote, Severity};
pub use foreign::is_foreign;
pub use hex::hex;
pub use ids::{ClaimName, InvalidName, IssuerId, LimitId, PlanId, RegionId, RoleName, RouteId, UpstreamId};
pub use issuer_set::IssuerSet;
pub use live::Live;
pub use nearest::nearest;
pub use networks::{InvalidNetwork, Network, Networks};
pub use permission::{Grant, InvalidPermission, Permission};
pub use place::Place;
pub use pointer::{InvalidPointer, Pointer, Step};
pub use reason::{Reason, UnknownReason};
pub use request_id::{InvalidRequestId, RequestId};
pub use reserved::{reserved, reserved_in_response, same_field};
pub use retention_class::{ClassName, InvalidClassName, RetentionClass};
pub use subject::{InvalidSubject, Subject};
pub use surrogate::{InvalidSurrogate, Surrogate};
pub use tenant_id::{InvalidTenantId, TenantId};
pub use units::{ByteCount, ByteRate, InvalidUnit, Rate, Share, Span};
pub use weight::{InvalidWeight, Weight};
pub use zone::{InvalidZone, Period, Zone};
