use std::fmt;
use std::str::FromStr;

/// Lists every reason once: doc, variant, word.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why a request was served or refused: one stable word, the same in records, metrics, the CLI and tests.
        ///
        /// Clients see the status and a broader code; `gate` has the table that chooses them.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason there is, for tables, metrics and completions.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The dotted word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Whether a proof of possession is at fault (RFC 9449), or the lack of one.
            #[must_use]
            pub fn is_about_proof(self) -> bool {
                self.as_str().starts_with("auth.proof.")
            }

            /// Whether the request itself is at fault: it is malformed, ambiguous or too large.
            #[must_use]
            pub fn is_malformed(self) -> bool {
                self.as_str().starts_with("request.malformed.")
            }
        }
    };
}

reasons! {
    /// Served: a role of the member grants what the route asks for, or the route is public.
    Allowed = "allowed",
    /// The record of this decision could not be kept, so the request was not served.
    AuditUnavailable = "audit.unavailable",
    /// The issuer is not as sure of the user as the route demands (`acr`, RFC 9470).
    AuthInsufficientAcr = "auth.insufficient.acr",
    /// The user has proven itself longer ago than the route lets it be, or nobody knows when (`auth_time`).
    AuthInsufficientAge = "auth.insufficient.age",
    /// The user has not proven itself by the means that the route demands (`amr`, RFC 8176).
    AuthInsufficientAmr = "auth.insufficient.amr",
    /// The user has not proven itself by more than one factor, which the tenant demands.
    AuthInsufficientMfa = "auth.insufficient.mfa",
    /// The session has lasted for longer than the tenant lets it.
    AuthInsufficientSession = "auth.insufficient.session",
    /// The signature's algorithm is not allowed for this issuer, or does not fit the key.
    AuthInvalidAlgorithm = "auth.invalid.algorithm",
    /// No audience of the token is ours (RFC 7519 §4.1.3).
    AuthInvalidAudience = "auth.invalid.audience",
    /// The token is bound to a certificate that the client has not shown on this connection (RFC 8705 §3).
    AuthInvalidBound = "auth.invalid.bound",
    /// The client's certificate was good once, and nobody vouches for it now.
    AuthInvalidCertificate = "auth.invalid.certificate",
    /// A claim is missing, of the wrong type, or there are too many.
    AuthInvalidClaims = "auth.invalid.claims",
    /// The token is bound (`cnf`, RFC 7800) in a way that cannot be read, or that is not known here.
    AuthInvalidConfirmation = "auth.invalid.confirmation",
    /// `exp` has passed (RFC 7519 §4.1.4).
    AuthInvalidExpired = "auth.invalid.expired",
    /// The header carries `jku`, `x5u`, `jwk`, an unknown `crit`, or something else that must not be there.
    AuthInvalidHeader = "auth.invalid.header",
    /// The issuer was asked about the token, and says that it is not active (RFC 7662 §2.2).
    AuthInvalidInactive = "auth.invalid.inactive",
    /// `iss` is unknown, or not accepted on this route.
    AuthInvalidIssuer = "auth.invalid.issuer",
    /// No key of the issuer has this `kid`.
    AuthInvalidKey = "auth.invalid.key",
    /// Not a compact JWS with JSON inside, or the `Authorization` header is not `Bearer <token>`.
    AuthInvalidMalformed = "auth.invalid.malformed",
    /// `nbf` or `iat` lies in the future.
    AuthInvalidNotYet = "auth.invalid.not_yet",
    /// The token was taken back before its time.
    AuthInvalidRevoked = "auth.invalid.revoked",
    /// No certificate on a route that wants one, or one that is no service's, or that of several.
    AuthInvalidService = "auth.invalid.service",
    /// The signature does not verify.
    AuthInvalidSignature = "auth.invalid.signature",
    /// The token is longer than is looked at.
    AuthInvalidTooLarge = "auth.invalid.too_large",
    /// The token is good for whoever has it, where its issuer or the route demands one that is bound to its user.
    AuthInvalidUnbound = "auth.invalid.unbound",
    /// The API key has expired.
    AuthKeyExpired = "auth.key.expired",
    /// The field `X-Api-Key` holds no key, or stands beside a token.
    AuthKeyMalformed = "auth.key.malformed",
    /// The API key was taken back.
    AuthKeyRevoked = "auth.key.revoked",
    /// No API key is like this one.
    AuthKeyUnknown = "auth.key.unknown",
    /// No token on a route that wants one.
    AuthMissing = "auth.missing",
    /// No more proofs of possession can be remembered, so that nobody could say whether one was used before.
    AuthProofFull = "auth.proof.full",
    /// The proof brings no key that can be used, or another one than the token is bound to.
    AuthProofKey = "auth.proof.key",
    /// The field `DPoP` holds no proof (RFC 9449 §4.2).
    AuthProofMalformed = "auth.proof.malformed",
    /// A token that is bound to a key came without a proof.
    AuthProofMissing = "auth.proof.missing",
    /// The proof has no nonce where one is demanded, or one that is not ours, or an old one.
    AuthProofNonce = "auth.proof.nonce",
    /// The proof was used before.
    AuthProofReplayed = "auth.proof.replayed",
    /// A token that is bound to a key came as `Bearer`, or one that is not as `DPoP`.
    AuthProofScheme = "auth.proof.scheme",
    /// The signature of the proof does not verify.
    AuthProofSignature = "auth.proof.signature",
    /// The proof is for another method or another URL.
    AuthProofTarget = "auth.proof.target",
    /// The proof is too old, or of the future.
    AuthProofTime = "auth.proof.time",
    /// The proof is for another token.
    AuthProofToken = "auth.proof.token",
    /// The key of the proof was used more often than may be remembered of one.
    AuthProofTooMany = "auth.proof.too_many",
    /// The issuer's keys are not known, or too old to trust.
    AuthUnavailable = "auth.unavailable",
    /// The client's address is not one that clients may come from: at all, or for this tenant.
    ClientDenied = "client.denied",
    /// The gateway stops, and this request would not end by itself.
    GatewayStopping = "gateway.stopping",
    /// There were as many requests in progress as there may be.
    GatewayOverloaded = "gateway.overloaded",
    /// A page of an origin that may not ask, or not with this method or these fields.
    CorsDenied = "cors.denied",
    /// A browser asked whether a page may ask, and was told yes by the gateway itself.
    CorsPreflight = "cors.preflight",
    /// Something of ours broke while this request was judged.
    Internal = "internal",
    /// More bytes in a time than a limit allows.
    LimitBytes = "limit.bytes",
    /// More requests at once than a limit allows.
    LimitConcurrency = "limit.concurrency",
    /// Too many answers have said no.
    LimitLockout = "limit.lockout",
    /// A quota over a calendar period is used up.
    LimitQuota = "limit.quota",
    /// More requests in a time than a limit allows.
    LimitRate = "limit.rate",
    /// More at once than the tenant's share, by its weight, while others wanted theirs.
    LimitShare = "limit.share",
    /// A limit that several gateways share could not be asked, and refuses what it cannot judge.
    LimitUnavailable = "limit.unavailable",
    /// A deny rule speaks against it, or nothing grants it.
    PolicyDenied = "policy.denied",
    /// A rule could not be evaluated.
    PolicyError = "policy.error",
    /// No role grants it, and it would be let through if its caller said why it must be.
    PolicyJustification = "policy.justification",
    /// The body is longer than what the route covers with a signature.
    RequestBodyBeyondDigest = "request.malformed.body_beyond_digest",
    /// The body is longer than the route allows.
    RequestBodyTooLarge = "request.malformed.body_too_large",
    /// The body is not the one of which the client's `Content-Digest` (RFC 9530) is, or that field cannot be read.
    RequestDigest = "request.malformed.digest",
    /// A field that may stand once stands twice, or two of them conflict.
    RequestDuplicateField = "request.malformed.duplicate_field",
    /// An `Expect` of something else than `100-continue`.
    RequestExpectation = "request.malformed.expectation",
    /// A field's name has an underscore, or its value a character that may not be there.
    RequestField = "request.malformed.field",
    /// `Content-Length` or `Transfer-Encoding` do not say clearly how long the body is.
    RequestFraming = "request.malformed.framing",
    /// More or longer header fields than are looked at.
    RequestHeadTooLarge = "request.malformed.head_too_large",
    /// No host, two hosts, or one that is not a host.
    RequestHost = "request.malformed.host",
    /// A method that is not forwarded.
    RequestMethod = "request.malformed.method",
    /// A backslash in the path.
    RequestPathBackslash = "request.malformed.path.backslash",
    /// `.` or `..` as a segment, in whatever spelling.
    RequestPathDotSegment = "request.malformed.path.dot_segment",
    /// A percent-encoded percent sign.
    RequestPathDoubleEncoding = "request.malformed.path.double_encoding",
    /// An empty segment: `//`.
    RequestPathEmptySegment = "request.malformed.path.empty_segment",
    /// A percent-encoded slash.
    RequestPathEncodedSlash = "request.malformed.path.encoded_slash",
    /// A percent sign without two hexadecimal digits, or a character that a path may not have.
    RequestPathEncoding = "request.malformed.path.encoding",
    /// Neither origin form nor absolute form (RFC 9112 §3.2).
    RequestPathForm = "request.malformed.path.form",
    /// A NUL or another control character, in whatever spelling.
    RequestPathControl = "request.malformed.path.control",
    /// A `;` and what follows it.
    RequestPathParameters = "request.malformed.path.parameters",
    /// Longer than is looked at.
    RequestPathTooLong = "request.malformed.path.too_long",
    /// Decoded, it is not UTF-8.
    RequestPathUtf8 = "request.malformed.path.utf8",
    /// The head or the body did not arrive in time.
    RequestTimeout = "request.malformed.timeout",
    /// Bytes on the connection that never became a request.
    RequestUnparsed = "request.malformed.unparsed",
    /// An `Upgrade` that is not `websocket`, or on a route that does not allow it.
    RequestUpgrade = "request.malformed.upgrade",
    /// The connection was made for another host than the one that is asked for, or without what this host demands.
    RequestMisdirected = "request.misdirected",
    /// No route has this host, path and method.
    RouteUnknown = "route.unknown",
    /// The token under which a request runs has expired.
    StreamExpired = "stream.expired",
    /// The token under which a request runs was taken back.
    StreamRevoked = "stream.revoked",
    /// The user under whose token a request runs has proven itself too long ago by now.
    StreamStale = "stream.stale",
    /// The tenant is no more.
    TenantClosed = "tenant.closed",
    /// The issuer of the token may not speak for this tenant.
    TenantIssuer = "tenant.issuer",
    /// The backend's response names another tenant than the one that asked, or does not name it as its route demands.
    TenantLeak = "tenant.leak",
    /// Token, host, path and header do not all name the same tenant.
    TenantMismatch = "tenant.mismatch",
    /// The subject does not belong to this tenant.
    TenantNotMember = "tenant.not_member",
    /// The tenant is suspended.
    TenantSuspended = "tenant.suspended",
    /// It could not be found out who belongs to the tenant, or which tenants there are.
    TenantUnavailable = "tenant.unavailable",
    /// No tenant is named, or one that is not registered.
    TenantUnknown = "tenant.unknown",
    /// The route sends each tenant to its own upstream, and has none for this one.
    TenantUnplaced = "tenant.unplaced",
    /// The backend has as many requests in flight as it may, and as many wait as may.
    UpstreamBusy = "upstream.busy",
    /// The backend failed so often that it is left alone for a while.
    UpstreamOpen = "upstream.open",
    /// What the backend sent is no response that can be read in one way only.
    UpstreamMalformed = "upstream.malformed",
    /// The backend answered late.
    UpstreamTimeout = "upstream.timeout",
    /// Every address of the backend fails its checks, so none was asked.
    UpstreamUnhealthy = "upstream.unhealthy",
    /// The backend could not be reached, or broke off.
    UpstreamUnavailable = "upstream.unavailable",
}

/// A word that is no reason.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a reason code")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text).ok_or_else(|| UnknownReason(text.into()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_and_no_two_share_a_word() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
