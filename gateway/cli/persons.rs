//! What the audit log holds of persons, while the gateway runs: who is erased is forgotten, and it is put on record.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use admin::{Check, Standing};
use audit::{Note, PersonsChange};
use prometheus::proto::{MetricFamily, MetricType};
use subjects::{Event, Keeping as Kept, LogName, Making, SubjectVault, Subjects, VaultError};
use terms::{Clock, TenantId};
use tokio::runtime::Handle;

use crate::background::Shutdown;
use crate::failure::Failure;
use crate::logs::TenantLogs;
use crate::metrics::{counter, family, float, gauge};
use crate::retaining::Keeping;
use crate::settings::Privacy;

/// How often the vault is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How often it is asked what is not on record yet, and how many times for each time that persons are counted.
const TELL: Duration = Duration::from_millis(500);
const COUNT: u64 = 120;

/// For how long a look counts where the vault is a file: a disk may be busy for a while, and nobody else is in between.
const BELIEVED: Duration = Duration::from_secs(5);

/// The subject vault of a gateway.
pub(crate) struct Persons {
    /// What is looked at, and what waits for the log: each has a way of its own, so that neither waits for the other.
    watched: Mutex<SubjectVault>,
    told: Mutex<SubjectVault>,
    subjects: Subjects,
    logs: TenantLogs,
    log: LogName,
    seen: Mutex<Seen>,
}

/// What was seen of it last.
#[derive(Default)]
struct Seen {
    destroyed: Option<u64>,
    /// Why it cannot be used, while that is so.
    fault: Option<String>,
    persons: u64,
    waiting: u64,
    tells: u64,
    failures: u64,
}

/// The subject vault, opened as often as it is used at a time.
pub(crate) struct Open {
    watched: SubjectVault,
    told: SubjectVault,
    pub(crate) subjects: Subjects,
}

/// Opens the subject vault that goes with this state folder, and gives what asks it a thread. One that is not as it was ends the
/// start; a database that does not answer does not: nobody is served meanwhile.
pub(crate) fn open(state: &std::path::Path, privacy: &Privacy, clock: &Arc<dyn Clock>) -> Result<Open, Failure> {
    if let Kept::Postgresql(server) = &privacy.keeping
        && server.is_open_to_all()
    {
        tracing::warn!(
            "insecure_plaintext: whoever is between here and the subject vault can change who is on record as whom"
        );
    }
    let open = || privacy.unseen_vault(state, Making::Yes).map_err(|error| Failure::setup("the subject vault", &error));
    let (asked, mut watched, told) = (open()?, open()?, open()?);
    let began = Instant::now();
    let looked = watched.look();
    let (subjects, keeper) = Subjects::new(asked, privacy.believed.unwrap_or(BELIEVED));
    match looked {
        Ok(destroyed) => subjects.is_destroyed(destroyed, began),
        Err(error) if error.is_to_be_mended() => return Err(Failure::setup("the subject vault", &error)),
        Err(error) => {
            tracing::warn!(
                error = terms::chain(&error),
                "starting without the subject vault, which is asked again: no member is served until it answers"
            );
        }
    }
    let clock = Arc::clone(clock);
    let thread = std::thread::Builder::new().name("subjects".into()).spawn(move || keeper.run(&*clock));
    thread.map_err(|error| Failure::broke("the thread of the subject vault", &error))?;
    Ok(Open { watched, told, subjects })
}

/// Whoever is under a legal hold keeps the records of the tenant: whose they are, only the vault could say.
impl Keeping for Persons {
    fn held(&self) -> Result<HashSet<TenantId>, Failure> {
        let mut vault = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was set back may lack a hold.
        let holds = vault.look().and_then(|_| vault.holds());
        let holds = holds.map_err(|error| Failure::broke("the legal holds", &error))?;
        Ok(holds.into_iter().map(|hold| hold.tenant).collect())
    }

    fn awaited(&self) -> Result<u64, Failure> {
        Ok(u64::MAX)
    }
}

impl Persons {
    pub(crate) fn new(open: Open, logs: TenantLogs, log: LogName) -> Self {
        let Open { watched, told, subjects } = open;
        let (watched, told) = (Mutex::new(watched), Mutex::new(told));
        Self { watched, told, subjects, logs, log, seen: Mutex::default() }
    }

    /// Looks at the vault until `shutdown`, and puts on record what was done there.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown => {}
            () = again_and_again(LOOK, || { let this = Arc::clone(&self); move || this.look() }) => {}
            () = again_and_again(TELL, || { let this = Arc::clone(&self); move || this.tell() }) => {}
        }
    }

    fn look(&self) {
        let looked = self.try_look();
        let mut seen = self.seen();
        match looked {
            Ok(()) if seen.fault.take().is_some() => tracing::info!("the subject vault can be used again"),
            Ok(()) => {}
            Err(error) => {
                seen.failures += 1;
                let fault = terms::chain(&error).to_string();
                if seen.fault.as_ref() != Some(&fault) {
                    tracing::error!(error = fault, "the subject vault cannot be used");
                    seen.fault = Some(fault);
                }
            }
        }
    }

    fn try_look(&self) -> Result<(), VaultError> {
        let mut vault = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let destroyed = vault.look().inspect_err(|error| {
            // FAIL CLOSED: if nobody can say who was erased, nobody is served. What only does not answer is believed for a moment
            // more, as long as an erasure may take to be in force.
            if error.is_to_be_mended() {
                self.subjects.is_lost();
            }
        })?;
        // ORDER: forgotten first. What was done is not undone because it cannot be put on record yet.
        self.subjects.is_destroyed(destroyed, began);
        if self.seen().destroyed != Some(destroyed) {
            vault.is_seen(destroyed)?;
        }
        self.seen().destroyed = Some(destroyed);
        Ok(())
    }

    fn tell(&self) {
        if let Err(error) = self.try_tell() {
            tracing::warn!(error = terms::chain(&error), "what was done with persons cannot be put on record yet");
        }
    }

    fn try_tell(&self) -> Result<(), VaultError> {
        let mut vault = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        vault.look()?; // of another one nothing goes into this log
        if self.logs.first().writes() {
            let runtime = Handle::current();
            vault.record(self.log, |event| match runtime.block_on(self.note(event)) {
                Ok(()) => true,
                Err(unavailable) => {
                    tracing::warn!(
                        error = terms::chain(&unavailable),
                        "what was done with a person is not on record yet"
                    );
                    false
                }
            })?;
        }
        let waiting = vault.waiting(self.log)?;
        let counts = self.seen().tells.is_multiple_of(COUNT);
        let persons = if counts { Some(vault.persons()?) } else { None }; // every row is looked at for that
        let mut seen = self.seen();
        (seen.waiting, seen.tells) = (waiting, seen.tells + 1);
        seen.persons = persons.unwrap_or(seen.persons);
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, event: &Event) -> Result<(), audit::Unavailable> {
        let change = PersonsChange {
            kind: event.kind.as_str(),
            tenant: event.tenant.as_ref(),
            subject: event.surrogate.map(Into::into),
            key: event.key.as_deref(),
            count: event.count,
            hold: event.hold,
            sha256: event.sha256.as_deref(),
            why: &event.order.reason,
            reference: event.order.reference.as_deref(),
            by: event.order.who,
            done: event.order.done,
        };
        self.logs.of(event.tenant.as_ref()).note_strict(&Note::Persons(change)).await
    }

    /// How it does.
    pub(crate) fn metrics(&self) -> [MetricFamily; 9] {
        let subjects::State { remembered, asked, failed, entries, busy, batches, is_there } = self.subjects.state();
        let (persons, failures, waiting, destroyed) = {
            let seen = self.seen();
            (seen.persons, seen.failures, seen.waiting, seen.destroyed.unwrap_or(0))
        };
        let outcomes = [("asked", asked), ("failed", failed), ("remembered", remembered)];
        let outcomes = outcomes.into_iter().map(|(outcome, count)| (vec![("outcome", outcome)], float(count)));
        [
            family(
                "cloister_subjects_requests_total",
                "Requests of members, by whether the subject vault was asked for them; those that failed were refused",
                MetricType::COUNTER,
                outcomes.collect(),
            ),
            gauge("cloister_subjects", "Persons in the subject vault, counted every minute", persons),
            gauge(
                "cloister_subjects_remembered",
                "Persons for whom the subject vault need not be asked",
                entries as u64,
            ),
            family(
                "cloister_subjects_busy_seconds_total",
                "How long the subject vault was busy with questions",
                MetricType::COUNTER,
                vec![(Vec::new(), busy.as_secs_f64())],
            ),
            counter("cloister_subjects_batches_total", "Times that the subject vault was asked", batches),
            counter("cloister_subjects_failures_total", "Times that the subject vault could not be used", failures),
            gauge("cloister_subjects_up", "Whether the subject vault can be used", is_there.into()),
            gauge("cloister_subjects_destroyed", "Times that something was destroyed in the subject vault", destroyed),
            gauge(
                "cloister_subjects_waiting",
                "Things done with persons that are not on record yet, here or where another gateway shares the vault",
                waiting,
            ),
        ]
    }
}

/// Without it no member is served, so nobody should be sent here.
impl Check for Persons {
    fn name(&self) -> &'static str {
        "subjects"
    }

    fn check(&self) -> Standing {
        let seen = self.seen();
        match (&seen.fault, self.subjects.state().is_there) {
            (None, true) => Standing::Up,
            (Some(_), true) => Standing::Impaired("the subject vault cannot be used as it should, see the log".into()),
            (_, false) => Standing::Down("the subject vault cannot be used: no member is served".into()),
        }
    }
}

/// Does something until it is dropped, away from the tasks that must not wait for a disk or a database.
async fn again_and_again<W: FnOnce() + Send + 'static>(pause: Duration, work: impl Fn() -> W) {
    loop {
        drop(tokio::task::spawn_blocking(work()).await);
        tokio::time::sleep(pause).await;
    }
}
