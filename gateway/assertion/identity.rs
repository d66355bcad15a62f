use crate::digest::ContentDigest;
use terms::{Claimed, IssuerId, RequestId, RoleName, Subject, TenantId};

/// Who asks, as the gate found it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The tenant that they act in.
    pub tenant: &'a TenantId,
    /// Whose token it was: a subject is unique within its issuer only.
    pub issuer: &'a IssuerId,
    /// The subject of the token.
    pub subject: &'a Subject,
    /// What they are within the tenant.
    pub roles: &'a [RoleName],
    /// How strongly they were authenticated, in the issuer's words.
    pub acr: Option<&'a str>,
    /// By what means they were authenticated (RFC 8176).
    pub amr: &'a [Box<str>],
    /// When they were authenticated, in seconds since the Unix epoch.
    pub auth_time: Option<u64>,
    /// What became of the claims of their token that backends may be told; see [`Telling`](crate::Telling).
    pub claimed: &'a [Claimed],
    /// Until when their token is good, in seconds since the Unix epoch.
    pub expires_at: u64,
    /// The SHA-256 of their token.
    pub token: &'a [u8; 32],
}

/// The request as it goes out to the backend, after everything that is done to it.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// Our id of it.
    pub id: RequestId,
    /// The method.
    pub method: &'a str,
    /// The `Host` that the backend sees: lower case, and without a port that is the scheme's default.
    pub authority: &'a str,
    /// The path as it is on the wire, not decoded.
    pub path: &'a str,
    /// What stands after the `?`, if there is one.
    pub query: Option<&'a str>,
    /// The field `Content-Digest` of its body, where all of it has been read: the signature covers it then.
    pub digest: Option<&'a ContentDigest>,
}
