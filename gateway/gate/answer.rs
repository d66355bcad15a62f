use http::StatusCode;
use terms::Reason;

/// What a client is told: a status, and a code that is broader than the reason in the record, so that an answer never
/// teaches an attacker which check stopped them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status code (RFC 9110 §15).
    pub status: StatusCode,
    /// The member `code` of the problem document (RFC 9457 §3.2), and the `error` of the challenge where there is one.
    pub code: &'static str,
    /// The member `title`.
    pub title: &'static str,
    /// Which `WWW-Authenticate` goes with it (RFC 6750 §3).
    pub challenge: Challenge,
    /// The status that a gRPC client gets instead (`grpc-status`).
    pub grpc: u8,
}

/// The `WWW-Authenticate` field of an answer (RFC 6750 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// `Bearer` with an error code: a token came, and was not good enough.
    Error,
    /// None: the answer has nothing to do with who the client is.
    None,
    /// `Bearer` alone: no token came (RFC 6750 §3.1 forbids an error code here).
    Scheme,
}

impl Answer {
    /// The table of answers. It has no `_` arm: a new reason does not compile until someone has chosen what clients see.
    #[must_use]
    pub const fn to(reason: Reason) -> Self {
        match reason {
            Reason::Allowed => Self::of(200, "ok", "OK", 0),

            Reason::AuthMissing => Self {
                challenge: Challenge::Scheme,
                ..Self::of(401, "unauthenticated", "A bearer token is needed", 16)
            },
            Reason::AuthInvalidAlgorithm
            | Reason::AuthInvalidAudience
            | Reason::AuthInvalidBound
            | Reason::AuthInvalidClaims
            | Reason::AuthInvalidConfirmation
            | Reason::AuthInvalidExpired
            | Reason::AuthInvalidRevoked
            | Reason::AuthInvalidHeader
            | Reason::AuthInvalidInactive
            | Reason::AuthInvalidIssuer
            | Reason::AuthInvalidKey
            | Reason::AuthInvalidMalformed
            | Reason::AuthInvalidNotYet
            | Reason::AuthInvalidSignature
            | Reason::AuthInvalidTooLarge
            | Reason::AuthInvalidUnbound
            | Reason::StreamExpired
            | Reason::StreamRevoked
            | Reason::StreamStale => {
                Self { challenge: Challenge::Error, ..Self::of(401, "invalid_token", "The token is not accepted", 16) }
            }

            Reason::AuthInsufficientAcr
            | Reason::AuthInsufficientAge
            | Reason::AuthInsufficientAmr
            | Reason::AuthInsufficientMfa
            | Reason::AuthInsufficientSession => Self {
                challenge: Challenge::Error,
                ..Self::of(401, "insufficient_user_authentication", "Another authentication is needed", 16)
            },
            Reason::AuthProofScheme => {
                Self { challenge: Challenge::Error, ..Self::of(401, "invalid_token", "The token is not accepted", 16) }
            }
            Reason::AuthProofKey
            | Reason::AuthProofMalformed
            | Reason::AuthProofMissing
            | Reason::AuthProofReplayed
            | Reason::AuthProofSignature
            | Reason::AuthProofTarget
            | Reason::AuthProofTime
            | Reason::AuthProofToken => Self {
                challenge: Challenge::Error,
                ..Self::of(401, "invalid_dpop_proof", "The proof is not accepted", 16)
            },
            Reason::AuthProofNonce => Self {
                challenge: Challenge::Error,
                ..Self::of(401, "use_dpop_nonce", "The proof needs a new nonce", 16)
            },

            Reason::AuthKeyExpired | Reason::AuthKeyMalformed | Reason::AuthKeyRevoked | Reason::AuthKeyUnknown => {
                Self { challenge: Challenge::Scheme, ..Self::of(401, "invalid_key", "The key is not accepted", 16) }
            }

            Reason::AuthInvalidCertificate | Reason::AuthInvalidService => {
                Self::of(403, "invalid_certificate", "The certificate is not accepted", 16)
            }
            Reason::PolicyDenied | Reason::PolicyError => {
                Self { challenge: Challenge::Error, ..Self::of(403, "insufficient_scope", "Not allowed", 7) }
            }
            Reason::PolicyJustification => {
                Self::of(403, "justification_required", "Not allowed without a justification", 7)
            }
            // One answer for all of these: an outsider does not learn which tenants there are, nor that one of them takes no
            // clients from where they are.
            Reason::ClientDenied
            | Reason::TenantClosed
            | Reason::TenantIssuer
            | Reason::TenantMismatch
            | Reason::TenantNotMember
            | Reason::TenantSuspended
            | Reason::TenantUnknown
            | Reason::TenantUnplaced => Self::of(403, "forbidden", "Not allowed here", 7),
            Reason::CorsDenied => Self::of(403, "cors_denied", "Not allowed from this origin", 7),
            Reason::CorsPreflight => Self::of(204, "ok", "OK", 0),
            Reason::RouteUnknown => Self::of(404, "not_found", "Not found", 12),

            Reason::AuthProofTooMany
            | Reason::LimitBytes
            | Reason::LimitConcurrency
            | Reason::LimitLockout
            | Reason::LimitQuota
            | Reason::LimitRate
            | Reason::LimitShare => Self::of(429, "quota_exceeded", "Too many requests", 8),

            // Clients that share a connection among hosts take a new one and try again (RFC 9110 §15.5.20).
            Reason::RequestMisdirected => {
                Self::of(421, "misdirected_request", "The connection is not for this host", 14)
            }
            Reason::RequestBodyBeyondDigest | Reason::RequestBodyTooLarge => {
                Self::of(413, "body_too_large", "The body is too large", 8)
            }
            Reason::RequestExpectation => Self::of(417, "expectation_failed", "The expectation cannot be met", 3),
            Reason::RequestHeadTooLarge => Self::of(431, "head_too_large", "The header fields are too large", 8),
            Reason::RequestMethod => Self::of(405, "method_not_allowed", "The method is not allowed", 12),
            Reason::RequestPathTooLong => Self::of(414, "uri_too_long", "The path is too long", 3),
            Reason::RequestTimeout => Self::of(408, "request_timeout", "The request did not arrive in time", 4),
            Reason::RequestDigest
            | Reason::RequestDuplicateField
            | Reason::RequestField
            | Reason::RequestFraming
            | Reason::RequestHost
            | Reason::RequestPathBackslash
            | Reason::RequestPathControl
            | Reason::RequestPathDotSegment
            | Reason::RequestPathDoubleEncoding
            | Reason::RequestPathEmptySegment
            | Reason::RequestPathEncodedSlash
            | Reason::RequestPathEncoding
            | Reason::RequestPathForm
            | Reason::RequestPathParameters
            | Reason::RequestPathUtf8
            | Reason::RequestUnparsed
            | Reason::RequestUpgrade => Self::of(400, "malformed_request", "The request is malformed or ambiguous", 3),

            // An outage of ours is never told as a fault of the client's.
            Reason::AuditUnavailable
            | Reason::AuthProofFull
            | Reason::AuthUnavailable
            | Reason::GatewayStopping
            | Reason::LimitUnavailable
            | Reason::TenantUnavailable => Self::of(503, "unavailable", "Temporarily unavailable", 14),
            Reason::GatewayOverloaded => Self::of(503, "overloaded", "Too many requests at the moment", 14),
            Reason::Internal => Self::of(500, "internal", "Internal error", 13),
            Reason::UpstreamBusy => Self::of(503, "upstream_busy", "The backend has too much to do", 8),
            Reason::UpstreamOpen | Reason::UpstreamUnhealthy => {
                Self::of(503, "upstream_unavailable", "The backend is not available", 14)
            }
            Reason::TenantLeak | Reason::UpstreamMalformed => {
                Self::of(502, "bad_gateway", "The backend did not answer properly", 13)
            }
            Reason::UpstreamTimeout => Self::of(504, "upstream_timeout", "The backend did not answer in time", 4),
            Reason::UpstreamUnavailable => Self::of(502, "upstream_unavailable", "The backend is not available", 14),
        }
    }

    const fn of(status: u16, code: &'static str, title: &'static str, grpc: u8) -> Self {
        let status = match StatusCode::from_u16(status) {
            Ok(status) => status,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, code, title, challenge: Challenge::None, grpc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_status_of_an_error() {
        let granted = [Reason::Allowed, Reason::CorsPreflight];
        for reason in Reason::ALL.iter().filter(|reason| !granted.contains(reason)) {
            assert!(Answer::to(*reason).status.as_u16() >= 400, "{reason}");
        }
    }

    #[test]
    fn an_outage_of_ours_is_never_told_as_bad_credentials() {
        for reason in [
            Reason::AuditUnavailable,
            Reason::AuthUnavailable,
            Reason::Internal,
            Reason::LimitUnavailable,
            Reason::TenantUnavailable,
            Reason::UpstreamUnavailable,
        ] {
            assert!(Answer::to(reason).status.is_server_error(), "{reason}");
        }
    }
}
