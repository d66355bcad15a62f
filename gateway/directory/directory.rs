use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared as SharedFuture, WeakShared, join, join_all};
use tenancy::TenantRow;
use terms::{Breaker, Clock, IssuerId, RoleName, Subject, TenantId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use crate::connect::carrying;
use crate::ear;
use crate::fault::Fault;
use crate::generations::{Generation, Generations};
use crate::health::Health;
use crate::hearing::Hearing;
use crate::lane::{self, Lane, Ready};
use crate::memory::{Answer, Key, Memory};
use crate::notice::Notice;
use crate::settings::Settings;
use crate::tenants::Prepared;

/// Who is asked about, and where.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Question<'a> {
    /// Whose subject.
    pub issuer: &'a IssuerId,
    /// In which tenant.
    pub tenant: &'a TenantId,
    /// Who.
    pub subject: &'a Subject,
}

/// It could not be found out. That says nothing about anybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the directory cannot be asked")]
pub struct Unavailable;

/// Who belongs to which tenant. Cloned, it is still the same one.
#[derive(Clone)]
pub struct Directory(Arc<Shared>);

/// What those have in common who ask and those who keep the connections.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) hearing: Hearing,
    generations: Generations,
    /// Nothing, where nobody asks who is a member.
    memory: Option<Memory>,
    /// That tenants may have changed.
    pub(crate) tenants_told: Notify,
    /// As they were read last.
    tenants: watch::Sender<Option<Arc<[TenantRow]>>>,
    lanes: Vec<Lane>,
    turn: AtomicUsize,
    /// Questions that are under way. Whoever comes with the same one waits for the same answer.
    flights: Mutex<HashMap<(Key, Generation), WeakShared<Flight>>>,
    places: Semaphore,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
    counts: Counts,
    pub(crate) asking: Health,
    pub(crate) listening: Health,
    met: watch::Sender<Met>,
}

/// What the database has been asked for well, or need not be asked for.
#[derive(Clone, Copy, Debug)]
struct Met {
    members: bool,
    tenants: bool,
}

type Flight = BoxFuture<'static, Result<Answer, Unavailable>>;

#[derive(Debug, Default)]
struct Counts {
    remembered: AtomicU64,
    members: AtomicU64,
    strangers: AtomicU64,
    unreadable: AtomicU64,
    failed: AtomicU64,
    unasked: AtomicU64,
    notices: AtomicU64,
}

/// How it does, for metrics and readiness.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct State {
    /// Questions that did not have to be asked.
    pub remembered: u64,
    /// Answers that name roles.
    pub members: u64,
    /// Answers that somebody does not belong.
    pub strangers: u64,
    /// Answers that mean nothing here.
    pub unreadable: u64,
    /// Questions that had no answer.
    pub failed: u64,
    /// Questions that were not asked: there was no connection, or no place, or it had failed again and again.
    pub unasked: u64,
    /// Answers that are remembered now.
    pub entries: usize,
    /// Tenants as they were read last; `None`: they are not in force yet, or do not stand there.
    pub tenants: Option<usize>,
    /// Connections that answer, and how many there are to be.
    pub connections: (usize, usize),
    /// Whether it is heard when something changes.
    pub hears: bool,
    /// How often that was heard.
    pub notices: u64,
    /// How often a connection was lost, or could not be made.
    pub losses: u64,
    /// What went wrong last, while something does.
    pub problem: Option<String>,
}

/// How many questions are under way at a time, for each connection.
const PER_CONNECTION: usize = 32;

/// Beyond so many questions under way, those are forgotten for which nobody waits any more.
const MOST_FLIGHTS: usize = 1_024;

impl Directory {
    /// One that knows nothing yet. It answers once [`Directory::run`] is polled.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let connections = if settings.memberships.is_some() { settings.connections.max(1) } else { 0 };
        Self(Arc::new(Shared {
            hearing: Hearing::new(Instant::now()),
            generations: Generations::default(),
            memory: settings.memberships.as_ref().map(Memory::new),
            lanes: (0..connections).map(|_| Lane::new()).collect(),
            tenants_told: Notify::new(),
            tenants: watch::Sender::new(None),
            turn: AtomicUsize::new(0),
            flights: Mutex::default(),
            places: Semaphore::new(connections * PER_CONNECTION),
            breaker: Breaker::default(),
            clock,
            counts: Counts::default(),
            asking: Health::of("the directory cannot be asked who is a member"),
            listening: Health::of("the directory cannot be heard, so that little of it is remembered"),
            met: watch::Sender::new(Met {
                members: settings.memberships.is_none(),
                tenants: settings.tenants.is_none(),
            }),
            settings,
        }))
    }

    /// The roles of a subject in a tenant; `None`: it does not belong there.
    ///
    /// What is remembered costs a look-up, and no allocation.
    ///
    /// # Errors
    /// It could not be found out.
    pub async fn roles(&self, question: Question<'_>) -> Result<Option<Arc<[RoleName]>>, Unavailable> {
        let shared = &self.0;
        let of = shared.generations.now(question.tenant, question.subject);
        let now = Instant::now();
        let hears = shared.hearing.hears(now);
        let answer = match shared.memory.as_ref().and_then(|memory| memory.recall(question, of, now, hears)) {
            Some(answer) => {
                shared.counts.remembered.fetch_add(1, Ordering::Relaxed);
                answer
            }
            None => self.flight(question, of).await?,
        };
        match answer {
            Answer::Member(roles) => Ok(Some(roles)),
            Answer::Stranger => Ok(None),
            Answer::Unreadable => Err(Unavailable),
        }
    }

    /// The answer that is under way, if nothing was said to have changed since it was asked for; or a new one. It is dropped
    /// when nobody waits for it any more.
    fn flight(&self, question: Question<'_>, of: Generation) -> SharedFuture<Flight> {
        let key = (Key::from(question), of);
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let (shared, asked) = (Arc::clone(&self.0), key.clone());
        let flight = async move {
            let answer = shared.ask(asked.0.question(), of).await;
            shared.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&asked);
            answer
        };
        let flight = flight.boxed().shared();
        if flights.len() >= MOST_FLIGHTS {
            flights.retain(|_, flight| flight.upgrade().is_some()); // those that everybody left
        }
        flights.extend(flight.downgrade().map(|flight| (key, flight)));
        flight
    }

    /// Asks once whether the database is there and the query fits, before anything depends on it.
    ///
    /// # Errors
    /// Why not.
    pub async fn try_out(&self) -> Result<(), Fault> {
        let settings = &self.0.settings;
        if let Some(memberships) = &settings.memberships {
            drop(lane::connect(&self.0, memberships).await?);
        }
        if let Some(tenants) = &settings.tenants {
            let (client, mut carrier) = settings.server.open().await?;
            let prepare = Prepared::on(&client, tenants);
            let prepared = carrying(&mut carrier, settings.server.connect, prepare).await?;
            let read = carrying(&mut carrier, settings.server.connect, prepared.read(&client)).await;
            read.map_err(|fault| fault.of_tenants())?;
        }
        Ok(())
    }

    /// Keeps the connections until `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let settings = self.0.settings.memberships.as_ref();
        let keep = |lane| settings.map(|settings| Lane::keep(lane, &self.0, settings));
        let lanes = join_all(self.0.lanes.iter().filter_map(keep));
        tokio::select! {
            () = shutdown => {}
            _ = join(lanes, ear::listen(&self.0)) => {}
        }
    }

    /// Waits until the database has answered for the first time, and its tenants are in force.
    pub async fn met(&self) {
        // It cannot fail: the sender is here.
        drop(self.0.met.subscribe().wait_for(|met| met.members && met.tenants).await);
    }

    /// The tenants as they were read last, each time that they are others.
    #[must_use]
    pub fn tenants(&self) -> watch::Receiver<Option<Arc<[TenantRow]>>> {
        self.0.tenants.subscribe()
    }

    /// The tenants that were read are in force.
    pub fn tenants_are_in_force(&self) {
        self.0.met.send_if_modified(|met| !std::mem::replace(&mut met.tenants, true));
    }

    /// Whether it is asked who is a member.
    #[must_use]
    pub fn knows_members(&self) -> bool {
        self.0.settings.memberships.is_some()
    }

    /// Whether tenants stand there.
    #[must_use]
    pub fn knows_tenants(&self) -> bool {
        self.0.settings.tenants.is_some()
    }

    /// How it does.
    #[must_use]
    pub fn state(&self) -> State {
        let shared = &self.0;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { remembered, members, strangers, unreadable, failed, unasked, notices } = &shared.counts;
        let up = shared.lanes.iter().filter(|lane| lane.ready().is_some()).count();
        State {
            remembered: count(remembered),
            members: count(members),
            strangers: count(strangers),
            unreadable: count(unreadable),
            failed: count(failed),
            unasked: count(unasked),
            entries: shared.memory.as_ref().map_or(0, Memory::len),
            tenants: shared.tenants.borrow().as_ref().map(|all| all.len()).filter(|_| shared.met.borrow().tenants),
            connections: (up, shared.lanes.len()),
            hears: shared.hearing.hears(Instant::now()),
            notices: count(notices),
            losses: shared.asking.failures() + shared.listening.failures(),
            problem: shared.asking.problem().or_else(|| shared.listening.problem()),
        }
    }
}

impl Shared {
    async fn ask(&self, question: Question<'_>, of: Generation) -> Result<Answer, Unavailable> {
        // FAIL CLOSED: whatever keeps it from being asked, nobody gets in by that, and it is an outage of ours.
        let unasked = |()| {
            self.counts.unasked.fetch_add(1, Ordering::Relaxed);
            Unavailable
        };
        let wait = self.settings.server.wait;
        let attempt = self.breaker.attempt(self.clock.unix_seconds()).ok_or(()).map_err(unasked)?;
        // Twice: a connection that ends says nothing about the database, and another one may be there.
        for last in [false, true] {
            let (lane, ready) = self.connection().ok_or(()).map_err(unasked)?;
            let place = timeout(wait / 4, self.places.acquire()).await;
            let Ok(Ok(_place)) = place else { return Err(unasked(())) };
            let began = Instant::now();
            let answer = timeout(wait - wait / 4, ready.memberships.roles(&ready.client, question)).await;
            match answer.unwrap_or(Err(Fault::Late)) {
                Ok(answer) => {
                    attempt.succeeded();
                    self.asking.well();
                    self.count(&answer);
                    if let Some(memory) = &self.memory {
                        memory.remember(question, &answer, of, began);
                    }
                    return Ok(answer);
                }
                Err(Fault::Ended) => {
                    lane.give_up(&ready);
                    if last {
                        break;
                    }
                }
                Err(fault) => {
                    if matches!(fault, Fault::Late) {
                        lane.give_up(&ready);
                    }
                    self.asking.failed(&fault);
                    if attempt.failed(self.clock.unix_seconds()) {
                        tracing::warn!("the directory fails again and again, and is left alone for a while");
                    }
                    break;
                }
            }
        }
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        Err(Unavailable)
    }

    fn count(&self, answer: &Answer) {
        let count = match answer {
            Answer::Member(_) => &self.counts.members,
            Answer::Stranger => &self.counts.strangers,
            Answer::Unreadable => &self.counts.unreadable,
        };
        // The first of them; the rest are counted.
        if count.fetch_add(1, Ordering::Relaxed) == 0 && *answer == Answer::Unreadable {
            tracing::error!(
                "the directory says a role that is none, or too many: whoever has it is kept out. A role is of small letters, \
                 digits, `-` and `_`"
            );
        }
    }

    /// A connection that answers, each in its turn.
    fn connection(&self) -> Option<(&Lane, Arc<Ready>)> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(self.lanes.len())?;
        let (before, after) = self.lanes.split_at_checked(first)?;
        after.iter().chain(before).find_map(|lane| Some((lane, lane.ready()?)))
    }

    /// Takes over what the database says has changed.
    pub(crate) fn heed(&self, notice: &Notice) {
        self.counts.notices.fetch_add(1, Ordering::Relaxed);
        self.generations.end(notice);
        if matches!(notice, Notice::Everything | Notice::Tenant(_)) {
            self.tenants_told.notify_one();
        }
    }

    /// Takes over the tenants as they were read.
    pub(crate) fn take(&self, tenants: Vec<TenantRow>) {
        self.tenants.send_if_modified(|known| {
            let changed = known.as_deref() != Some(&*tenants);
            if changed {
                *known = Some(tenants.into());
            }
            changed
        });
    }

    /// It answers.
    pub(crate) fn meet(&self) {
        self.asking.well();
        self.met.send_if_modified(|met| !std::mem::replace(&mut met.members, true));
    }
}

/// Where it is, and how it does.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.state()).finish()
    }
}
