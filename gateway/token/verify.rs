mod clients;
mod hear;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use terms::{Clock, IssuerId, IssuerSet, TenantId};
use tokio::sync::Semaphore;

use clients::Clients;
pub use hear::Unheard;

use crate::cache::{Entry, Verified};
use crate::claims::Claims;
use crate::compact::Compact;
use crate::fetch::{self, Source};
use crate::header::{ACCESS_TOKENS, Header, Kind};
use crate::introspection::{Introspector, Memory};
use crate::issuer::{Budget, Issuer};
use crate::key_set::Published;
use crate::pattern::Pattern;
use crate::realms::{Newcomers, Realms, RealmsState};
use crate::refresh::{PLACES, file_poll};
use crate::settings::{LONGEST_TOKEN, Located, faults};
use crate::standing::Standing;
use crate::{
    CacheStats, Caller, IntrospectionState, IssuerSettings, IssuerState, JwksSource, Profile, SettingsError, TokenError,
};

/// Turns the text of a bearer token into a [`Caller`], for all issuers there are.
pub struct Verifier {
    issuers: Vec<Arc<Issuer>>,
    /// By the `iss` claim.
    by_name: HashMap<String, Arc<Issuer>>,
    /// The issuers of all tenants, of each pattern.
    realms: Vec<Realms>,
    newcomers: Newcomers,
    is_registered: IsRegistered,
    verified: Verified,
    /// Those that are asked about tokens.
    introspectors: Vec<Arc<Introspector>>,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    /// The longest token that any issuer allows.
    longest: usize,
    places: Semaphore,
    /// How often keys in files are read.
    file_poll: Duration,
    /// What may be verified of what issuers say, by how the configuration calls them.
    hearing: HashMap<IssuerId, Budget>,
}

/// Says whether there is a tenant of this name.
pub type IsRegistered = Arc<dyn Fn(&TenantId) -> bool + Send + Sync>;

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
        let mut realms = Vec::new();
        let mut introspectors = Vec::new();
        let memory = Arc::new(Memory::new(cache_capacity));
        let heard = settings.iter().filter(|settings| settings.notices.is_some());
        let hearing = heard.map(|settings| (settings.id.clone(), Budget::new(hear::PER_SECOND))).collect();
        let longest = settings.iter().map(|settings| settings.max_token_bytes).max().unwrap_or(LONGEST_TOKEN);
        for settings in settings {
            let unfit = |fault| SettingsError { faults: vec![(Some(settings.id.clone()), fault)] };
            let reach = settings.reach;
            if let Some(asked) = &settings.introspection {
                let http = clients.asking(asked.reach).map_err(unfit)?;
                let place = u32::try_from(introspectors.len()).unwrap_or(u32::MAX);
                let (memory, clock) = (Arc::clone(&memory), Arc::clone(&clock));
                introspectors.extend(Introspector::new(settings.clone(), http, place, memory, clock).map(Arc::new));
            }
            let mut client = || clients.get(reach).map_err(unfit);
            if let Some(pattern) = Pattern::parse(&settings.issuer).map_err(unfit)? {
                let client = match settings.jwks {
                    JwksSource::File(_) | JwksSource::None => None,
                    JwksSource::Discovery | JwksSource::Url(_) => Some(client()?),
                };
                realms.push(Realms::new(settings, pattern, client));
                continue;
            }
            let source = match settings.place().map_err(unfit)? {
                Located::File(path) => Source::File(path),
                Located::Nowhere => continue,
                Located::Url(url) => Source::Url(client()?, url),
                Located::Discovery(document) => {
                    Source::Discovery { client: client()?, document, issuer: settings.issuer.clone(), reach }
                }
            };
            issuers.push(Arc::new(Issuer::new(settings, source)));
        }
        let mut files = 0;
        for issuer in &issuers {
            if let Source::File(path) = &issuer.source {
                files += 1;
                issuer.adopt(fetch::read_file(path), clock.unix_seconds());
            }
        }
        Ok(Self {
            by_name: issuers.iter().map(|issuer| (issuer.settings.issuer.clone(), Arc::clone(issuer))).collect(),
            longest,
            issuers,
            realms,
            newcomers: Newcomers::default(),
            is_registered: Arc::new(|_| false), // FAIL CLOSED: nobody has said which tenants there are
            verified: Verified::new(cache_capacity),
            introspectors,
            memory,
            clock,
            places: Semaphore::new(PLACES),
            file_poll: file_poll(files),
            hearing,
        })
    }

    /// The same verifier, which can tell the tenants that there are from those that tokens make up. Without this it knows
    /// of none, and takes no token of an issuer that is one of a pattern's.
    #[must_use]
    pub fn knowing(self, is_registered: IsRegistered) -> Self {
        Self { is_registered, ..self }
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
        let fingerprint = sha256(token.as_bytes());
        let now = self.clock.unix_seconds();
        if let Some(caller) = self.recall(&fingerprint, accepted, now)? {
            self.verified.count_hit();
            return Ok(caller);
        }
        let judged = self.judge(token, fingerprint, accepted, now);
        if judged.is_err()
            && let Some(introspector) = self.whom_to_ask(token, accepted)
        {
            return introspector.judge(token, fingerprint).await;
        }
        self.verified.count_miss();
        let entry = match judged {
            Ok(entry) => entry,
            Err(refused) => self.judge_again(token, fingerprint, accepted, refused).await?,
        };
        let caller = Arc::clone(&entry.caller);
        self.verified.insert(fingerprint, entry);
        Ok(caller)
    }

    /// The issuer that is asked about this token: the one of those accepted that is asked at all, if this is no JWT, or one of
    /// its own that cannot be verified here. A JWT of an issuer with keys is verified with these and no other way, and one of
    /// somebody else is shown to nobody.
    fn whom_to_ask(&self, token: &str, accepted: &IssuerSet) -> Option<&Arc<Introspector>> {
        let mut asked = self.introspectors.iter().filter(|issuer| accepted.contains(&issuer.settings.id));
        // FAIL CLOSED: of two, neither is asked. Policies that would let it come to that do not load.
        let (Some(introspector), None) = (asked.next(), asked.next()) else { return None };
        let named = Compact::parse(token).and_then(|parts| {
            let claims = Claims::parse(&parts.payload)?;
            claims.issuer().map(|issuer| self.find(issuer).is_err() && issuer == introspector.settings.issuer)
        });
        let is_theirs = match named {
            Ok(is_theirs) => is_theirs,
            Err(TokenError::Malformed(_)) => true, // no JWT at all
            Err(_) => false,                       // a JWT that is not what it should be
        };
        is_theirs.then_some(introspector)
    }

    /// Judges a token once more whose key is not known, if it may be a new one: its issuer is asked, and waited for.
    async fn judge_again(
        &self,
        token: &str,
        fingerprint: [u8; 32],
        accepted: &IssuerSet,
        Refused { error, key }: Refused,
    ) -> Result<Entry, TokenError> {
        let Some((issuer, name)) = key else { return Err(error) };
        if !issuer.look_again(name, self.clock.unix_seconds()).await {
            return Err(error);
        }
        let now = self.clock.unix_seconds();
        self.judge(token, fingerprint, accepted, now).map_err(|refused| {
            if let (Some((_, name)), TokenError::Key(_)) = (refused.key, refused.error) {
                issuer.note_unknown(name, now);
            }
            refused.error
        })
    }

    /// Every check there is, in the order in which a token meets them. Nothing costs a signature before the issuer, the
    /// algorithm and the key have been found, and nothing of the claims but `iss` is used before the signature is good.
    fn judge(&self, token: &str, fingerprint: [u8; 32], accepted: &IssuerSet, now: u64) -> Result<Entry, Refused> {
        let accept = |settings: &IssuerSettings, kind| match accepted.contains(&settings.id) {
            true => settings.takes(kind),
            false => Err(TokenError::Issuer),
        };
        let Signed { claims, issuer, key } = self.signed(token, ACCESS_TOKENS, accept, now)?;
        let caller = Caller::believe(&claims, issuer.voice(), now, fingerprint)?;
        if issuer.settings.profile == Profile::AtJwt {
            claims.has_those_of_an_access_token()?;
        }
        key.note_use(now);
        Ok(Entry { caller: Arc::new(caller), key })
    }

    /// The claims of a token of one of these types, by an issuer that is accepted for it: signed, and not yet believed.
    fn signed(
        &self,
        token: &str,
        types: &[(&str, Kind)],
        accept: impl Fn(&IssuerSettings, Kind) -> Result<(), TokenError>,
        now: u64,
    ) -> Result<Signed, Refused> {
        let parts = Compact::parse(token)?;
        let header = Header::parse(&parts.header, types)?;
        let claims = Claims::parse(&parts.payload)?;
        let found = self.find(claims.issuer()?)?;
        let settings = found.settings();
        accept(settings, header.kind)?;
        if token.len() > settings.max_token_bytes {
            return Err(TokenError::TooLarge.into());
        }
        if claims.len() > settings.max_claims {
            return Err(TokenError::Claims("there are too many").into());
        }
        settings.allows(header.algorithm)?;
        let issuer = self.load(found, now)?;
        let kid = header.kid.as_deref();
        let again = || Some((Arc::clone(&issuer), issuer.name_of(kid)));
        let keys =
            issuer.keys(now).map_err(|error| Refused { error, key: issuer.awaits_keys().then(again).flatten() })?;
        let Published { key, standing } = keys.choose(header.algorithm, kid).map_err(|error| {
            let unknown = matches!(error, TokenError::Key(_));
            Refused { error, key: unknown.then(again).flatten() }
        })?;
        key.verify(parts.signed, parts.signature, header.algorithm)?;
        let key = Arc::clone(standing);
        drop(keys);
        Ok(Signed { claims, issuer, key })
    }

    /// Whose token it says it is. Of two ways to write an issuer down, the one that is about it alone counts.
    fn find(&self, issuer: &str) -> Result<Found<'_>, TokenError> {
        if let Some(issuer) = self.by_name.get(issuer) {
            return Ok(Found::Issuer(issuer));
        }
        let realm = self.realms.iter().find_map(|realms| Some(Found::Realm(realms, realms.tenant_of(issuer)?)));
        realm.ok_or(TokenError::Issuer)
    }

    /// The issuer itself. Nothing is made and nobody is asked for a tenant that is none.
    fn load(&self, found: Found<'_>, now: u64) -> Result<Arc<Issuer>, TokenError> {
        match found {
            Found::Issuer(issuer) => Ok(Arc::clone(issuer)),
            Found::Realm(realms, tenant) if (self.is_registered)(&tenant) => {
                realms.issuer(&tenant, now, &self.newcomers)
            }
            Found::Realm(..) => Err(TokenError::Issuer),
        }
    }

    /// The caller of a token that was verified before; `None` if it is not remembered, or its key is gone. Costs one
    /// SHA-256, one look-up and the counts of two `Arc`s.
    fn recall(
        &self,
        fingerprint: &[u8; 32],
        accepted: &IssuerSet,
        now: u64,
    ) -> Result<Option<Arc<Caller>>, TokenError> {
        let Some(entry) = self.verified.get(fingerprint) else {
            return Ok(None);
        };
        if !accepted.contains(entry.key.issuer()) {
            return Err(TokenError::Issuer);
        }
        if now >= entry.caller.good_until() {
            self.verified.forget(fingerprint);
            return Err(TokenError::Expired);
        }
        if entry.key.is_gone() {
            self.verified.forget(fingerprint);
            return Ok(None);
        }
        if !entry.key.is_fresh(now) {
            return Err(TokenError::Unavailable);
        }
        entry.key.note_use(now);
        Ok(Some(entry.caller))
    }

    /// Keeps the keys of all issuers fresh until `shutdown`: reads them now, then each in its own time. One that fails
    /// or hangs touches no other. Issuers of patterns join when they are first needed, and leave when they are idle.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut kept: FuturesUnordered<_> = self.issuers.iter().map(|issuer| self.keep(Arc::clone(issuer))).collect();
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(()) = kept.next() => {}
                newcomers = self.newcomers.come() => {
                    kept.extend(newcomers.into_iter().map(|issuer| self.keep(issuer)));
                }
            }
        }
    }

    async fn keep(&self, issuer: Arc<Issuer>) {
        issuer.keep_fresh(&*self.clock, &self.places, self.file_poll).await;
        self.realms.iter().for_each(|realms| realms.forget(&issuer));
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

    /// How the issuers of each pattern do, in the order in which the patterns were given.
    #[must_use]
    pub fn realms(&self) -> Vec<RealmsState> {
        let now = self.clock.unix_seconds();
        self.realms.iter().map(|realms| realms.state(now)).collect()
    }

    /// How asking about tokens goes, for each issuer that is asked.
    #[must_use]
    pub fn introspections(&self) -> Vec<IntrospectionState> {
        self.introspectors.iter().map(|introspector| introspector.state()).collect()
    }

    /// How many tokens are remembered about which an issuer was asked.
    #[must_use]
    pub fn opaque_tokens(&self) -> usize {
        self.memory.len()
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

/// An issuer, or the pattern that it is one of.
enum Found<'v> {
    Issuer(&'v Arc<Issuer>),
    Realm(&'v Realms, TenantId),
}

impl Found<'_> {
    fn settings(&self) -> &IssuerSettings {
        match self {
            Self::Issuer(issuer) => &issuer.settings,
            Self::Realm(realms, _) => &realms.settings,
        }
    }
}

/// A token whose signature is good.
struct Signed {
    claims: Claims,
    issuer: Arc<Issuer>,
    /// The key that it is signed with.
    key: Arc<Standing>,
}

/// A token that was refused.
struct Refused {
    error: TokenError,
    /// The issuer and the name of its key, if all that is wrong so far is that the key is not known.
    key: Option<(Arc<Issuer>, u64)>,
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self { error, key: None }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuers, realms, verified, .. } = self;
        f.debug_struct("Verifier")
            .field("issuers", &issuers.len())
            .field("realms", realms)
            .field("verified", verified)
            .finish_non_exhaustive()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
    fingerprint
}

#[cfg(test)]
mod tests;
