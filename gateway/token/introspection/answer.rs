use std::sync::Arc;

use super::client::Asking;
use crate::claims::Claims;
use crate::issuer::Voice;
use crate::{Caller, IssuerSettings, TokenError};

/// What an issuer says of a token (RFC 7662 §2.2).
pub(super) enum Answer {
    Active(Claims),
    Inactive,
}

/// What kinds of tokens may be shown to us. A refresh token that is active is none of them.
const KINDS: &[&str] = &["bearer", "dpop", "access_token"];

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Asking> {
        let claims =
            Claims::parse(body).map_err(|_| Asking::Answer("it is no json object, or of more than one meaning"))?;
        match claims.flag("active") {
            Some(true) => Ok(Self::Active(claims)),
            Some(false) => Ok(Self::Inactive),
            None => Err(Asking::Answer("`active` is missing, or neither true nor false")),
        }
    }

    /// Holds what the issuer says to the same as the claims of a JWT. It may leave out its own name, since nobody else
    /// was asked; nothing else that a JWT must have.
    pub(super) fn believe(
        &self,
        settings: &IssuerSettings,
        now: u64,
        fingerprint: [u8; 32],
    ) -> Result<Arc<Caller>, TokenError> {
        let claims = match self {
            Self::Active(claims) => claims,
            Self::Inactive => return Err(TokenError::Inactive),
        };
        if claims.len() > settings.max_claims {
            return Err(TokenError::Claims("there are too many"));
        }
        if claims.has("iss") && claims.issuer()? != settings.issuer {
            return Err(TokenError::Issuer);
        }
        let kind = claims.text("token_type", 64, "`token_type` is not a text")?;
        if kind.is_some_and(|kind| !KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind))) {
            return Err(TokenError::Claims("`token_type` is not that of an access token"));
        }
        let used_as = claims.text("token_use", 64, "`token_use` is not a text")?;
        if used_as.is_some_and(|used_as| used_as != "access_token") {
            return Err(TokenError::Claims("`token_use` is not that of an access token"));
        }
        let voice = Voice { settings, name: &settings.id, realm: None };
        Caller::believe(claims, voice, now, fingerprint).map(Arc::new)
    }
}
