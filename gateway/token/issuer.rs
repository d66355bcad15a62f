use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use terms::{IssuerId, Live, TenantId};
use tokio::sync::{Notify, watch};

use crate::fetch::Source;
use crate::key_set::KeySet;
use crate::standing::is_fresh;
use crate::{IssuerSettings, TokenError};

/// One issuer at work: its settings and the keys that are known of it.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) settings: IssuerSettings,
    /// The only tenant that it speaks for, if it is one of a pattern's.
    pub(crate) realm: Option<TenantId>,
    /// What records call it.
    pub(crate) name: IssuerId,
    pub(crate) source: Source,
    pub(crate) keys: Live<KeySet>,
    /// When the keys were last read well, in seconds since the Unix epoch; 0 for never.
    pub(crate) confirmed: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) last: Mutex<Last>,
    /// Asks for a fetch before its time.
    pub(crate) nudge: Notify,
    nudged: AtomicU64,
    /// How many fetches have ended, well or not.
    pub(crate) fetched: watch::Sender<u64>,
    /// Whether anybody fetches keys, so that they can be waited for.
    pub(crate) kept: AtomicBool,
    /// Whether a fetch that tokens have asked for goes on.
    pub(crate) asked: AtomicBool,
    /// Names of keys that were not there when the issuer was asked for them, and until when it is not asked again. Made
    /// when there is one: most issuers never have any.
    unknown: OnceLock<Cache<u64, u64>>,
    named: RandomState,
    /// One fetch at a time; inside, how many have failed since one went well.
    pub(crate) turn: tokio::sync::Mutex<u32>,
    /// When it was made, or a token was good for the last time that was verified by a key it has no more.
    used: AtomicU64,
    /// What all issuers of its pattern may ask for out of turn.
    budget: Option<Arc<Budget>>,
    /// It was let go: another one has its place, or will have it.
    retired: AtomicBool,
}

/// What came of the last read of the keys.
#[derive(Debug, Default)]
pub(crate) struct Last {
    pub(crate) error: Option<String>,
    /// The SHA-256 of what was read, if it was good: the same bytes mean the same keys, without looking.
    pub(crate) read: Option<[u8; 32]>,
}

/// Who says what claims say, and what they are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice<'i> {
    pub(crate) settings: &'i IssuerSettings,
    /// What records call the issuer.
    pub(crate) name: &'i IssuerId,
    /// The only tenant that it speaks for, if it is one of a pattern's.
    pub(crate) realm: Option<&'i TenantId>,
}

/// How one issuer does, for readiness and metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerState {
    /// Which issuer.
    pub id: IssuerId,
    /// How many of its keys are known and fit for use.
    pub keys: usize,
    /// How long ago they were last read well; `None` if never.
    pub age: Option<Duration>,
    /// Whether its tokens can be verified now. If not, they are answered with `auth.unavailable`.
    pub usable: bool,
    /// How many reads have failed since the start.
    pub failures: u64,
    /// What went wrong last: why the last read failed, or which keys of it are not used. `None` when all is well.
    pub last_error: Option<String>,
}

/// At most one fetch out of turn in this many seconds, whatever tokens ask for.
const NUDGE_SECONDS: u64 = 10;

/// How long a request waits for it.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How many requests wait for it at once.
const MOST_WAITING: usize = 256;

/// How long a name that was asked for in vain is not asked for again, and how many of them are remembered.
const UNKNOWN_SECONDS: u64 = 30;
const UNKNOWN: usize = 1_024;

impl Issuer {
    pub(crate) fn new(settings: IssuerSettings, source: Source) -> Self {
        Self {
            name: settings.id.clone(),
            keys: Live::new(KeySet::none(settings.id.clone(), settings.max_stale)),
            settings,
            realm: None,
            source,
            confirmed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last: Mutex::default(),
            nudge: Notify::new(),
            nudged: AtomicU64::new(0),
            fetched: watch::Sender::new(0),
            kept: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            unknown: OnceLock::new(),
            named: RandomState::new(),
            turn: tokio::sync::Mutex::new(0),
            used: AtomicU64::new(0),
            budget: None,
            retired: AtomicBool::new(false),
        }
    }

    /// What its tokens are held to.
    pub(crate) const fn voice(&self) -> Voice<'_> {
        Voice { settings: &self.settings, name: &self.name, realm: self.realm.as_ref() }
    }

    /// The issuer of one tenant. A token has asked for it, so whoever has one may wait for its keys.
    pub(crate) fn of_realm(
        settings: IssuerSettings,
        source: Source,
        tenant: TenantId,
        budget: &Arc<Budget>,
        now: u64,
    ) -> Self {
        let name = settings.id.of_tenant(&tenant);
        let budget = Some(Arc::clone(budget));
        let issuer = Self { name, realm: Some(tenant), budget, ..Self::new(settings, source) };
        issuer.nudged.store(now, Ordering::Relaxed);
        issuer.used.store(now, Ordering::Relaxed);
        issuer.asked.store(true, Ordering::Release);
        issuer.kept.store(true, Ordering::Release);
        issuer
    }

    /// When a token of its was good for the last time, or when it was made.
    pub(crate) fn used(&self) -> u64 {
        let of_keys = self.keys.glance().standings().map(|standing| standing.used()).max();
        of_keys.unwrap_or_default().max(self.used.load(Ordering::Relaxed))
    }

    /// Takes up keys in place of those that it had.
    pub(crate) fn succeed(&self, known: &KeySet, keys: KeySet) {
        self.used.store(self.used(), Ordering::Relaxed); // what departs takes along when it was used
        let departed: Vec<_> = known.standings().filter(|standing| !keys.holds(standing)).map(Arc::clone).collect();
        self.keys.replace(keys);
        departed.iter().for_each(|standing| standing.withdraw());
    }

    /// The keys were read well just now.
    pub(crate) fn confirm(&self, now: u64) {
        let keys = self.keys.glance();
        keys.standings().for_each(|standing| standing.confirm(now));
        // ORDER: keys, then the time. Whoever sees the time sees the keys.
        self.confirmed.store(now, Ordering::Release);
        if self.is_retired() {
            keys.standings().for_each(|standing| standing.withdraw()); // it was let go while they were read
        }
    }

    /// Whether no token of its was good for as long as keys would be used.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.realm.is_some() && now.abs_diff(self.used()) > self.settings.max_stale.as_secs()
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.keys.glance().standings().for_each(|standing| standing.withdraw());
        self.kept.store(false, Ordering::Release);
        self.nudge.notify_one(); // whoever keeps its keys fresh is to end
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether its keys were never read, and may be while a token waits.
    pub(crate) fn awaits_keys(&self) -> bool {
        self.realm.is_some() && self.confirmed.load(Ordering::Acquire) == 0
    }

    /// Whether the keys may be used now.
    pub(crate) fn trusts_keys(&self, now: u64) -> bool {
        is_fresh(self.confirmed.load(Ordering::Acquire), now, self.settings.max_stale.as_secs())
    }

    /// The keys, if they may be used now.
    pub(crate) fn keys(&self, now: u64) -> Result<arc_swap::Guard<Arc<KeySet>>, TokenError> {
        match self.trusts_keys(now) {
            true => Ok(self.keys.glance()),
            false => Err(TokenError::Unavailable),
        }
    }

    /// What a key is called here. The text is the token's, so it is not kept.
    pub(crate) fn name_of(&self, kid: Option<&str>) -> u64 {
        self.named.hash_one(kid)
    }

    /// A token named a key that is not known: perhaps it is new. Has the keys fetched anew, if that was not done just
    /// before, and waits for it, so that a key that was put in use a moment ago costs nobody a refusal. `true`: they were
    /// fetched.
    ///
    /// Whatever names tokens make up, there is one fetch in [`NUDGE_SECONDS`], all wait for the same, and none for a name
    /// that was asked for in vain.
    pub(crate) async fn look_again(&self, name: u64, now: u64) -> bool {
        let in_vain = self.unknown.get().and_then(|unknown| unknown.get(&name)).is_some_and(|until| now < until);
        if in_vain || !self.kept.load(Ordering::Acquire) {
            return false;
        }
        let others = self.fetched.receiver_count();
        let mut fetched = self.fetched.subscribe(); // ORDER: before it is asked for, or its end could be missed
        let last = self.nudged.load(Ordering::Relaxed);
        let due = last.abs_diff(now) >= NUDGE_SECONDS && self.budget.as_ref().is_none_or(|budget| budget.take(now));
        if due && self.nudged.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.asked.store(true, Ordering::Release);
            self.nudge.notify_one();
        } else if !self.asked.load(Ordering::Acquire) {
            return false;
        }
        if others >= MOST_WAITING {
            return false; // made-up names must not fill the gateway with requests that wait for an issuer that hangs
        }
        tokio::time::timeout(LONGEST_WAIT, fetched.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    /// There is no key of this name, now that it was asked for.
    pub(crate) fn note_unknown(&self, name: u64, now: u64) {
        self.unknown.get_or_init(|| Cache::new(UNKNOWN)).insert(name, now.saturating_add(UNKNOWN_SECONDS));
    }

    pub(crate) fn state(&self, now: u64) -> IssuerState {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        IssuerState {
            id: self.settings.id.clone(),
            keys: self.keys.glance().len(),
            age: (confirmed != 0).then(|| Duration::from_secs(now.saturating_sub(confirmed))),
            usable: self.trusts_keys(now),
            failures: self.failures.load(Ordering::Relaxed),
            last_error: self.last.lock().unwrap_or_else(PoisonError::into_inner).error.clone(),
        }
    }
}

/// How often something may be done in a second.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u8,
    /// The second, and how often it was done in it, in the lowest byte.
    spent: AtomicU64,
}

/// How often the issuers of one pattern, which are likely to be one server, are asked out of turn in all: each time for a key
/// that was never seen before, or made up.
const ASKED_PER_SECOND: u8 = 10;

impl Default for Budget {
    fn default() -> Self {
        Self::new(ASKED_PER_SECOND)
    }
}

impl Budget {
    pub(crate) const fn new(most: u8) -> Self {
        Self { most, spent: AtomicU64::new(0) }
    }

    /// Spends one of this second, if one is left.
    pub(crate) fn take(&self, now: u64) -> bool {
        let next = |spent: u64| match (spent >> 8 == now & (u64::MAX >> 8), spent & 0xff) {
            (true, count) => (count < u64::from(self.most)).then_some(spent + 1),
            (false, _) => Some((now << 8) | 1),
        };
        self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{Algorithm, JwksSource};

    #[test]
    fn the_issuers_of_a_pattern_are_asked_out_of_turn_so_often_in_all_and_no_more() {
        let budget = Budget::default();
        for now in [1_700_000_000, 1_700_000_001, 1_600_000_000] {
            let taken = (0..100).filter(|_| budget.take(now)).count();
            assert_eq!(taken, 10, "{now}");
        }
    }

    #[tokio::test]
    async fn no_more_than_some_requests_wait_for_an_issuer_that_hangs() {
        let keys = JwksSource::File("nowhere".into());
        let settings = IssuerSettings::new("main".parse().unwrap(), "https://a/", "api", Algorithm::ES256, keys);
        let issuer = Issuer::new(settings, Source::File("nowhere".into()));
        issuer.kept.store(true, Ordering::Release);
        issuer.asked.store(true, Ordering::Release);
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| issuer.fetched.subscribe()).collect();
        assert_eq!(issuer.look_again(1, 0).now_or_never(), None, "there is a place");
        waiting.push(issuer.fetched.subscribe());
        assert_eq!(issuer.look_again(1, 0).now_or_never(), Some(false), "and now there is none");
    }
}
