use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hub::{Connection, Server, Together};
use limit::{Asking, Demand, Due, Ended, Measure, Reply, Settling, Verdict};
use terms::{Attempt, Clock, Live};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::leases::{LASTS, Leases};
use crate::owed::{self, Begun, Debt, Owed};
use crate::parts::Parts;
use crate::script::{self, JUDGE, Unanswered};
use crate::state::{Counts, Health, State};

/// Where gateways count together, and how long one request waits for that.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store.
    pub server: Server,
    /// The longest that a request waits.
    pub timeout: Duration,
}

/// What gateways have spent together. Cloned, it is still the same one.
#[derive(Clone)]
pub struct Tally(pub(crate) Arc<Shared>);

/// What those have in common who ask and those who keep the connection.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) connection: Live<Option<Connection>>,
    pub(crate) parts: Parts,
    clock: Arc<dyn Clock>,
    /// Something has failed: it is to be found out what the connection is still good for.
    pub(crate) doubt: Notify,
    pub(crate) leases: Arc<Leases>,
    pub(crate) owing: mpsc::Sender<Owed>,
    pub(crate) owed: Mutex<Option<mpsc::Receiver<Owed>>>,
    pub(crate) counts: Counts,
    pub(crate) health: Health,
}

/// What came of a question. What `settling` hears of the end of the request, the store is told.
#[derive(Debug)]
pub enum Asked {
    /// The store has judged.
    Answered(Reply, Option<Box<dyn Settling>>),
    /// It could not be asked, or has not answered in time.
    Lost(Option<Box<dyn Settling>>),
}

impl Tally {
    /// One that has no connection yet: [`Tally::run`] makes it.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let (owing, owed) = mpsc::channel(owed::MOST);
        Self(Arc::new(Shared {
            settings,
            connection: Live::new(None),
            parts: Parts::default(),
            clock,
            doubt: Notify::new(),
            leases: Arc::new(Leases::new()),
            owing,
            owed: Mutex::new(Some(owed)),
            counts: Counts::default(),
            health: Health::default(),
        }))
    }

    /// Asks the store about a request, and waits no longer than [`Settings::timeout`].
    pub async fn ask(&self, asking: &Asking) -> Asked {
        let shared = &self.0;
        let lease = shared.leases.next();
        let named: Vec<_> = asking.demands().iter().map(|demand| (shared.key(demand), demand)).collect();
        let minded = |demand: &Demand| {
            matches!(demand.measure(), Measure::Bytes { .. }) || demand.due(&Ended::default()).is_some()
        };
        let levels = named.iter().filter(|(_, demand)| minded(demand));
        let levels = levels.map(|(key, demand)| (key.clone(), (*demand).clone())).collect();
        let mut debt = Debt { shared: Arc::clone(shared), lease, levels, begun: Begun::Elsewhere };

        let connection = shared.connection.glance().as_ref().clone();
        let rounds = connection.as_ref().and_then(|connection| shared.rounds(connection.together(), &named));
        let (Some(mut connection), Some(mut rounds)) = (connection, rounds) else {
            shared.counts.unasked.fetch_add(1, Ordering::Relaxed);
            debt.keep(|demand| !matches!(demand.measure(), Measure::Concurrency { .. })); // no place was asked for
            return Asked::Lost(debt.owing());
        };
        let (began, name) = (Instant::now(), debt.lease.name());
        let asked = timeout(
            shared.settings.timeout,
            shared.judge(&mut connection, (&name, LASTS), asking, &mut rounds, &named, &debt),
        );
        match asked.await.unwrap_or(Err(Unanswered::Late)) {
            Ok(reply) => {
                shared.counts.answered(began.elapsed());
                if reply.verdict == Verdict::Refused {
                    debt.forgive();
                    return Asked::Answered(reply, None);
                }
                let fits = |demand: &Demand| {
                    let place = asking.demands().iter().position(|known| known.name() == demand.name());
                    place.and_then(|place| reply.seen.get(place)?.as_ref()).is_some_and(|seen| seen.fits)
                };
                debt.keep(fits);
                debt.begun = Begun::There;
                let places = debt.levels.iter().filter(|(_, demand)| demand.due(&Ended::default()) == Some(Due::Place));
                debt.lease.has(places.map(|(key, _)| key.clone()).collect());
                Asked::Answered(reply, debt.owing())
            }
            Err(error) => {
                shared.counts.failed.fetch_add(1, Ordering::Relaxed);
                // The first that has not answered.
                let failed = rounds.iter_mut().find(|round| !round.has_answered);
                let failed = failed.and_then(|round| Some((round.part, round.attempt.take()?)));
                if failed.is_some_and(|(part, attempt)| shared.parts.failed(part, attempt, shared.now())) {
                    shared.health.ill(terms::chain(&error));
                }
                shared.doubt.notify_one();
                debt.leave();
                Asked::Lost(debt.owing())
            }
        }
    }

    /// Keeps the connection, and tells the store what is due, until `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.0.keep(shutdown).await;
    }

    /// How it does.
    #[must_use]
    pub fn state(&self) -> State {
        let shared = &self.0;
        let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let open = shared.parts.any_is_left_alone(shared.now());
        State {
            up: shared.connection.glance().is_some() && !open,
            open,
            round_trips: shared.counts.round_trips(),
            failed: count(&shared.counts.failed),
            unasked: count(&shared.counts.unasked),
            owed: owed::MOST - shared.owing.capacity() + shared.counts.underway.load(Ordering::Relaxed),
            unsettled: count(&shared.counts.unsettled),
            problem: shared.health.problem(),
        }
    }
}

impl Shared {
    /// What a level is called in the store. Braces say what a cluster keeps in one place.
    pub(crate) fn key(&self, demand: &Demand) -> String {
        let name = demand.name();
        self.settings.server.key(&format!("limits:{{{}}}:{}", name.tag, name.rest))
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// In which parts it is to be asked; `None`, if one of them is to be left alone.
    fn rounds<'a>(&'a self, together: Together, named: &[(String, &'a Demand)]) -> Option<Vec<Round<'a>>> {
        let now = self.now();
        if together == Together::All {
            return Some(vec![Round {
                part: 0,
                tag: "",
                attempt: Some(self.parts.attempt(0, now)?),
                has_answered: false,
            }]);
        }
        let places = named.iter().map(|(key, demand)| (Parts::of(together, key), demand.name().tag.as_str()));
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        places.dedup();
        let mut rounds: Vec<Round<'a>> = Vec::with_capacity(places.len());
        for (part, tag) in places {
            let is_asked = rounds.last().is_some_and(|last| last.part == part);
            let attempt = if is_asked { None } else { Some(self.parts.attempt(part, now)?) };
            rounds.push(Round { part, tag, attempt, has_answered: false });
        }
        Some(rounds)
    }

    fn has_answered(&self, round: &mut Round<'_>) {
        round.has_answered = true;
        if round.attempt.take().is_some_and(|attempt| self.parts.succeeded(round.part, attempt)) {
            self.health.well();
        }
    }
}

/// One question about what is kept in one place.
struct Round<'a> {
    part: usize,
    tag: &'a str,
    /// `None`, where another question about the same part says whether it is well.
    attempt: Option<Attempt<'a>>,
    has_answered: bool,
}

impl Shared {
    /// Asks about all levels at once. A cluster is asked one place after the other, and what was charged in one is given back
    /// when the next one has no room, or does not answer.
    async fn judge(
        &self,
        connection: &mut Connection,
        lease: (&str, Duration),
        asking: &Asking,
        rounds: &mut [Round<'_>],
        named: &[(String, &Demand)],
        debt: &Debt,
    ) -> Result<Reply, Unanswered> {
        if connection.together() == Together::All {
            let reply = script::judge(&JUDGE, connection, lease, asking.cost(), named).await?;
            rounds.iter_mut().for_each(|round| self.has_answered(round));
            return Ok(reply);
        }
        let mut reply = Reply { verdict: Verdict::Fits, seen: vec![None; named.len()] };
        let mut charged = Charged { levels: Vec::new(), debt, cost: asking.cost() };
        for round in rounds {
            let places: Vec<usize> = named
                .iter()
                .enumerate()
                .filter_map(|(place, (_, demand))| (demand.name().tag == round.tag).then_some(place))
                .collect();
            let levels: Vec<_> = places.iter().filter_map(|place| named.get(*place).cloned()).collect();
            let of_place = script::judge(&JUDGE, connection, lease, asking.cost(), &levels).await?;
            self.has_answered(round);
            for ((place, seen), (key, demand)) in places.iter().zip(&of_place.seen).zip(&levels) {
                if let Some(slot) = reply.seen.get_mut(*place) {
                    *slot = *seen;
                }
                if of_place.verdict == Verdict::Fits && seen.is_some_and(|seen| seen.fits) {
                    charged.levels.push((key.clone(), (*demand).clone()));
                }
            }
            if of_place.verdict == Verdict::Refused {
                reply.verdict = Verdict::Refused;
                return Ok(reply);
            }
        }
        charged.levels.clear(); // it begins
        Ok(reply)
    }
}

/// What was charged in some places of a cluster. It is given back unless all of them let the request through, also where nobody
/// waits for the rest any more.
struct Charged<'a> {
    levels: Vec<(String, Demand)>,
    debt: &'a Debt,
    cost: NonZeroU32,
}

impl Drop for Charged<'_> {
    fn drop(&mut self) {
        self.debt.give_back(&self.levels, self.cost);
    }
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("settings", &self.0.settings).field("state", &self.state()).finish()
    }
}
