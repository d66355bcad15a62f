//! Canonical: one reading of a request's head, the only one that anything behind it sees.
//!
//! *What it decides:* whether a head has exactly one meaning, and what that is: one host, one path with its segments,
//! one length of body, one credential. Whatever two readers could read differently is [`Malformed`], with its own
//! reason. What was judged is what is forwarded: [`CanonicalRequest::target`] is to be sent in place of what came.
//!
//! It also says whose request it is, where proxies in front are to be believed: [`Client::find`].
//!
//! *What it must never do:* repair. It rewrites only what RFC 3986 §6.2.2 calls the same (the case of hexadecimal digits,
//! escapes of unreserved characters) and what RFC 9112 §3.2.2 demands (absolute form to origin form).
//!
//! *Who gives it what:* the proxy a [`Head`] from the parser, and to [`check_wire`] the bytes that the parser tidied away.
//! No files, no sockets, no clock, no state. A head in canonical form costs no allocation.
//!
//! *How to add a check:* a variant in `malformed.rs` with its [`terms::Reason`]; the check in the file of the thing that
//! it looks at; rows in `tests/attacks.rs`, one refused and the nearest one that is not.
#![forbid(unsafe_code)]

mod authority;
mod client;
mod connection;
mod credential;
mod fields;
mod framing;
mod grpc;
mod malformed;
mod path;
mod preflight;
mod query;
mod request;
mod same;
mod target;
mod wire;

pub use client::{Client, ForwardedField, Proxies, Scheme};
pub use connection::asks_to_close;
pub use credential::Credential;
pub use framing::{Body, Upgrade};
pub use grpc::speaks_grpc;
pub use malformed::Malformed;
pub use path::Segments;
pub use preflight::Preflight;
pub use request::{Bounds, CanonicalRequest, Head};
pub use wire::check_wire;

#[cfg(test)]
mod tests;
