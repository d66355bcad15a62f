use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use futures::future::join_all;
use terms::{Clock, IssuerSet};

use crate::cache::{Entry, Verified};
use crate::claims::Claims;
use crate::compact::Compact;
use crate::fetch::{self, Source};
use crate::header::Header;
use crate::issuer::Issuer;
use crate::settings::{LONGEST_TOKEN, Located, faults};
use crate::{CacheStats, Caller, IssuerSettings, IssuerState, Reach, SettingsError, TokenError, Unfit};

/// Turns the text of a bearer token into a [`Caller`], for all issuers there are.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    /// Where in `issuers`, by the `iss` claim.
    by_name: HashMap<String, usize>,
    verified: Verified,
    clock: Arc<dyn Clock>,
    /// The longest token that any issuer allows.
    longest: usize,
}

impl Verifier {
    /// Takes up the issuers, and reads those keys that are in files. A file that is not there or broken does not keep
    /// the verifier from coming up: [`Verifier::issuers`] says so, and [`Verifier::run`] looks again.
    ///
    /// `cache_capacity` is how many verified tokens are remembered at most, at about 1 KiB each.
    ///
    /// # Errors
    ///
    /// Settings that cannot be used, all of them at once; or no client for HTTPS, because no `rustls` provider has been
    /// installed for the process, or the machine has no root certificates.
    pub fn new(
        settings: Vec<IssuerSettings>,
        clock: Arc<dyn Clock>,
        cache_capacity: usize,
    ) -> Result<Self, SettingsError> {
        let faults = faults(&settings, cache_capacity);
        if !faults.is_empty() {
            return Err(SettingsError { faults });
        }
        let mut clients = Clients::default();
        let mut issuers = Vec::with_capacity(settings.len());
        for settings in settings {
            let unfit = |fault| SettingsError { faults: vec![(Some(settings.id.clone()), fault)] };
            let reach = settings.reach;
            let mut client = || clients.get(reach).map_err(unfit);
            let source = match settings.place().map_err(unfit)? {
                Located::File(path) => Source::File(path),
                Located::Url(url) => Source::Url(client()?, url),
                Located::Discovery(document) => {
                    Source::Discovery { client: client()?, document, issuer: settings.issuer.clone(), reach }
                }
            };
            issuers.push(Issuer::new(settings, source));
        }
        for issuer in &issuers {
            if let Source::File(path) = &issuer.source {
                issuer.adopt(fetch::read_file(path), clock.unix_seconds());
            }
        }
        let names = issuers.iter().map(|issuer| issuer.settings.issuer.clone());
        Ok(Self {
            by_name: names.zip(0..).collect(),
            longest: issuers.iter().map(|issuer| issuer.settings.max_token_bytes).max().unwrap_or(LONGEST_TOKEN),
            issuers,
            verified: Verified::new(cache_capacity),
            clock,
        })
    }

    /// Who bears this token, if one of the accepted issuers says so.
    ///
    /// A token that was verified before is recognised by its SHA-256: its expiry, whether its issuer is accepted here and
    /// whether its key is still published are checked each time.
    ///
    /// # Errors
    ///
    /// See [`TokenError`]. [`TokenError::Unavailable`] is an outage of ours and says nothing about the token.
    pub async fn verify(&self, token: &str, accepted: &IssuerSet) -> Result<Arc<Caller>, TokenError> {
        if token.len() > self.longest {
            return Err(TokenError::TooLarge);
        }
        let fingerprint = sha256(token);
        let now = self.clock.unix_seconds();
        if let Some(caller) = self.recall(&fingerprint, accepted, now)? {
            self.verified.count_hit();
            return Ok(caller);
        }
        self.verified.count_miss();
        let entry = match self.judge(token, fingerprint, accepted, now) {
            Ok(entry) => entry,
            Err(refused) => self.judge_again(token, fingerprint, accepted, refused).await?,
        };
        let caller = Arc::clone(&entry.caller);
        self.verified.insert(fingerprint, entry);
        Ok(caller)
    }

    /// Judges a token once more whose key is not known, if it may be a new one: its issuer is asked, and waited for.
    async fn judge_again(
        &self,
        token: &str,
        fingerprint: [u8; 32],
        accepted: &IssuerSet,
        Refused { error, key }: Refused,
    ) -> Result<Entry, TokenError> {
        let Some((index, name)) = key else { return Err(error) };
        let issuer = self.issuers.get(index).ok_or(error)?;
        if !issuer.look_again(name, self.clock.unix_seconds()).await {
            return Err(error);
        }
        let now = self.clock.unix_seconds();
        self.judge(token, fingerprint, accepted, now).map_err(|refused| {
            if let Some((_, name)) = refused.key {
                issuer.note_unknown(name, now);
            }
            refused.error
        })
    }

    /// Every check there is, in the order in which a token meets them. Nothing costs a signature before the issuer, the
    /// algorithm and the key have been found, and nothing of the claims but `iss` is used before the signature is good.
    fn judge(&self, token: &str, fingerprint: [u8; 32], accepted: &IssuerSet, now: u64) -> Result<Entry, Refused> {
        let parts = Compact::parse(token)?;
        let header = Header::parse(&parts.header)?;
        let claims = Claims::parse(&parts.payload)?;
        let index = *self.by_name.get(claims.issuer()?).ok_or(TokenError::Issuer)?;
        let issuer = self.issuers.get(index).ok_or(TokenError::Issuer)?;
        if !accepted.contains(&issuer.settings.id) {
            return Err(TokenError::Issuer.into());
        }
        if token.len() > issuer.settings.max_token_bytes {
            return Err(TokenError::TooLarge.into());
        }
        if claims.len() > issuer.settings.max_claims {
            return Err(TokenError::Claims("there are too many").into());
        }
        issuer.takes(header.kind)?;
        issuer.allows(header.algorithm)?;
        let keys = issuer.keys(now)?;
        let kid = header.kid.as_deref();
        let key = keys.choose(header.algorithm, kid).map_err(|error| {
            let unknown = matches!(error, TokenError::Key(_));
            Refused { error, key: unknown.then(|| (index, issuer.name_of(kid))) }
        })?;
        key.verify(parts.signed, parts.signature, header.algorithm)?;
        let caller = Caller::believe(&claims, &issuer.settings, now, fingerprint)?;
        Ok(Entry { caller: Arc::new(caller), issuer: index, serial: key.serial })
    }

    /// The caller of a token that was verified before; `None` if it is not remembered, or its key is gone. Costs one
    /// SHA-256, one look-up and the count of an `Arc`.
    fn recall(
        &self,
        fingerprint: &[u8; 32],
        accepted: &IssuerSet,
        now: u64,
    ) -> Result<Option<Arc<Caller>>, TokenError> {
        let Some(entry) = self.verified.get(fingerprint) else {
            return Ok(None);
        };
        let issuer = self.issuers.get(entry.issuer).ok_or(TokenError::Issuer)?;
        if !accepted.contains(&issuer.settings.id) {
            return Err(TokenError::Issuer);
        }
        if now >= entry.caller.good_until() {
            self.verified.forget(fingerprint);
            return Err(TokenError::Expired);
        }
        if !issuer.keys(now)?.holds(entry.serial) {
            self.verified.forget(fingerprint);
            return Ok(None);
        }
        Ok(Some(entry.caller))
    }

    /// Keeps the keys of all issuers fresh until `shutdown`: reads them now, then each in its own time. One that fails
    /// or hangs touches no other.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let all = join_all(self.issuers.iter().map(|issuer| issuer.keep_fresh(&*self.clock)));
        tokio::select! {
            () = &mut shutdown => {}
            _ = all => shutdown.await, // only when there is no issuer at all
        }
    }

    /// Reads the keys of all issuers once, side by side: for a start that waits for them.
    pub async fn prefetch(&self) {
        join_all(self.issuers.iter().map(|issuer| issuer.refresh(&*self.clock))).await;
    }

    /// Waits until the keys of each issuer were asked for once, with whatever outcome. While [`Verifier::run`] runs.
    pub async fn asked_once(&self) {
        join_all(self.issuers.iter().map(async |issuer| {
            let mut fetched = issuer.fetched.subscribe();
            drop(fetched.wait_for(|count| *count > 0).await); // it cannot fail: the sender is here
        }))
        .await;
    }

    /// How each issuer does, in the order in which they were given.
    #[must_use]
    pub fn issuers(&self) -> Vec<IssuerState> {
        let now = self.clock.unix_seconds();
        self.issuers.iter().map(|issuer| issuer.state(now)).collect()
    }

    /// How the cache of verified tokens does.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.verified.stats()
    }
}

/// A token that was refused.
struct Refused {
    error: TokenError,
    /// The issuer and the name of its key, if all that is wrong so far is that the key is not known.
    key: Option<(usize, u64)>,
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self { error, key: None }
    }
}

/// One client for all issuers that may be asked at the same addresses.
#[derive(Default)]
struct Clients {
    public: Option<reqwest::Client>,
    private: Option<reqwest::Client>,
}

impl Clients {
    fn get(&mut self, reach: Reach) -> Result<reqwest::Client, Unfit> {
        let made = match reach {
            Reach::Public => &mut self.public,
            Reach::Private => &mut self.private,
        };
        match made {
            Some(client) => Ok(client.clone()),
            None => Ok(made.insert(https(reach)?).clone()),
        }
    }
}

/// Asks first whether the process has a provider: without one, making a client would panic.
fn https(reach: Reach) -> Result<reqwest::Client, Unfit> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Unfit::Client("no rustls provider is installed".into()));
    }
    fetch::client(reach).map_err(|error| Unfit::Client(terms::chain(&error)))
}

fn sha256(token: &str) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    fingerprint
}

#[cfg(test)]
mod tests;
