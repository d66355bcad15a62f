//! What issuers say about sessions that have ended.

use std::time::Duration;

use terms::IssuerId;

use super::{Found, Refused, Verifier};
use crate::claims::Claims;
use crate::compact::Compact;
use crate::header::Header;
use crate::issuer::Voice;
use crate::notice::{Notice, NoticeKind};
use crate::{IssuerSettings, TokenError};

/// How many signatures are verified in a second for one issuer, or for those of one pattern: some 2 % of a processor, and
/// more than a disk takes. What is beyond waits for a moment.
pub(super) const PER_SECOND: u8 = 200;

const WAIT: Duration = Duration::from_millis(50);
const WAITS: u32 = 40;

/// Why what an issuer says is not taken, and of which it was, as the configuration calls it, if of one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct Unheard {
    /// Which issuer.
    pub by: Option<IssuerId>,
    /// Why.
    pub error: TokenError,
}

impl Verifier {
    /// What an issuer says about sessions that have ended and about those who had them.
    ///
    /// # Errors
    ///
    /// It is not for us, not of an issuer whose notices are taken, not signed, or not understood.
    /// [`TokenError::Unavailable`] is an outage of ours and says nothing about it: it is to be said again.
    pub async fn notice(&self, kind: NoticeKind, token: &str) -> Result<Notice, Unheard> {
        let by = self.would_be(kind, token)?;
        let unheard = |error| Unheard { by: Some(by.clone()), error };
        if !self.may_verify(&by).await {
            return Err(unheard(TokenError::Unavailable));
        }
        let accept = |settings: &IssuerSettings, _| settings.notices.as_ref().map(drop).ok_or(TokenError::Issuer);
        let judge = |now| self.signed(token, kind.types(), accept, now);
        let signed = match judge(self.clock.unix_seconds()) {
            Ok(signed) => signed,
            Err(Refused { error, key: None }) => return Err(unheard(error)),
            Err(Refused { error, key: Some((issuer, name)) }) => {
                if !issuer.look_again(name, self.clock.unix_seconds()).await {
                    return Err(unheard(error));
                }
                let now = self.clock.unix_seconds();
                judge(now).map_err(|refused| {
                    if let TokenError::Key(_) = refused.error {
                        issuer.note_unknown(name, now);
                    }
                    unheard(refused.error)
                })?
            }
        };
        Notice::read(&signed.claims, kind, signed.issuer.voice(), self.clock.unix_seconds()).map_err(unheard)
    }

    /// Who would say it, if it were signed. Whatever can be seen without a signature is looked at before one is verified, so
    /// that junk costs next to nothing. Nothing of it is believed.
    fn would_be(&self, kind: NoticeKind, token: &str) -> Result<IssuerId, Unheard> {
        let nobody = |error| Unheard { by: None, error };
        if token.len() > self.longest {
            return Err(nobody(TokenError::TooLarge));
        }
        let parts = Compact::parse(token).map_err(nobody)?;
        Header::parse(&parts.header, kind.types()).map_err(nobody)?;
        let claims = Claims::parse(&parts.payload).map_err(nobody)?;
        let found = claims.issuer().and_then(|issuer| self.find(issuer)).map_err(nobody)?;
        let settings = found.settings();
        if settings.notices.is_none() {
            return Err(nobody(TokenError::Issuer));
        }
        let unheard = |error| Unheard { by: Some(settings.id.clone()), error };
        let name;
        let voice = match &found {
            Found::Issuer(issuer) => issuer.voice(),
            Found::Realm(_, tenant) if !(self.is_registered)(tenant) => return Err(unheard(TokenError::Issuer)),
            Found::Realm(_, tenant) => {
                name = settings.id.of_tenant(tenant);
                Voice { settings, name: &name, realm: Some(tenant) }
            }
        };
        let read = Notice::read(&claims, kind, voice, self.clock.unix_seconds());
        read.map(|notice| notice.by).map_err(unheard)
    }

    /// Whether there is room for one more, if need be after a wait.
    async fn may_verify(&self, by: &IssuerId) -> bool {
        let Some(budget) = self.hearing.get(by) else { return false };
        for _ in 0..WAITS {
            if budget.take(self.clock.unix_seconds()) {
                return true;
            }
            tokio::time::sleep(WAIT).await;
        }
        false
    }
}
