//! What the audit log holds of persons, while the gateway runs: who is erased is forgotten, and it is put on record.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin::{Check, Standing};
use audit::{Journal, Note, PersonsChange};
use prometheus::proto::{MetricFamily, MetricType};
use subjects::{Event, SubjectVault, Subjects, VaultError};
use terms::{Clock, TenantId};
use tokio::runtime::Handle;

use crate::background::Shutdown;
use crate::failure::Failure;
use crate::metrics::{counter, family, float, gauge};
use crate::retaining::Keeping;
use crate::settings::Privacy;

/// How often the vault is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How many looks there are to one that counts the persons.
const COUNT: u64 = 300;

/// The subject vault of a gateway.
pub(crate) struct Persons {
    vault: Mutex<SubjectVault>,
    subjects: Subjects,
    journal: Arc<Journal>,
    seen: Mutex<Seen>,
}

/// What was seen of it last.
#[derive(Default)]
struct Seen {
    destroyed: Option<u64>,
    /// Why it cannot be used, while that is so.
    fault: Option<String>,
    persons: u64,
    looks: u64,
    failures: u64,
}

/// Opens the subject vault in this folder, and gives what asks it a thread.
pub(crate) fn open(
    state: &std::path::Path,
    privacy: &Privacy,
    clock: &Arc<dyn Clock>,
) -> Result<(SubjectVault, Subjects), Failure> {
    let open = || {
        SubjectVault::open(state, privacy.root.as_ref(), privacy.fields, subjects::Making::Yes)
            .map_err(|error| Failure::setup("the subject vault", &error))
    };
    let (asked, watched) = (open()?, open()?);
    let (subjects, keeper) = Subjects::new(asked);
    let clock = Arc::clone(clock);
    let thread = std::thread::Builder::new().name("subjects".into()).spawn(move || keeper.run(&*clock));
    thread.map_err(|error| Failure::broke("the thread of the subject vault", &error))?;
    Ok((watched, subjects))
}

/// Whoever is under a legal hold keeps the records of the tenant: whose they are, only the vault could say.
impl Keeping for Persons {
    fn held(&self) -> Result<HashSet<TenantId>, Failure> {
        let holds = self.vault.lock().unwrap_or_else(PoisonError::into_inner).holds();
        let holds = holds.map_err(|error| Failure::broke("the legal holds", &error))?;
        Ok(holds.into_iter().map(|hold| hold.tenant).collect())
    }

    fn awaited(&self) -> Result<u64, Failure> {
        Ok(u64::MAX)
    }
}

impl Persons {
    pub(crate) fn new(vault: SubjectVault, subjects: Subjects, journal: Arc<Journal>) -> Self {
        Self { vault: Mutex::new(vault), subjects, journal, seen: Mutex::default() }
    }

    /// Looks at the vault until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        loop {
            let this = Arc::clone(&self);
            // Away from the tasks that must not wait for a disk.
            drop(tokio::task::spawn_blocking(move || this.look()).await);
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn look(&self) {
        let looked = self.try_look();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
        // FAIL CLOSED: if nobody can say who was erased, nobody is served.
        let destroyed = vault.destroyed().inspect_err(|_| self.subjects.is_lost())?;
        // ORDER: forgotten first. What was done is not undone because it cannot be put on record yet.
        self.subjects.is_destroyed(destroyed);
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).destroyed;
        if before != Some(destroyed) {
            vault.is_seen(destroyed)?;
        }
        let counts = self.seen.lock().unwrap_or_else(PoisonError::into_inner).looks.is_multiple_of(COUNT);
        let persons = if counts { Some(vault.persons()?) } else { None }; // every row is looked at for that
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.destroyed, seen.looks) = (Some(destroyed), seen.looks + 1);
            seen.persons = persons.unwrap_or(seen.persons);
        }
        if self.journal.writes() {
            let runtime = Handle::current();
            vault.record(|event| match runtime.block_on(self.note(event)) {
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
        Ok(())
    }

    async fn note(&self, event: &Event) -> Result<(), audit::Unavailable> {
        let change = PersonsChange {
            kind: event.kind.as_str(),
            tenant: &event.tenant,
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
        self.journal.note_strict(&Note::Persons(change)).await
    }

    /// How it does.
    pub(crate) fn metrics(&self) -> [MetricFamily; 8] {
        let subjects::State { remembered, asked, failed, entries, busy, batches, is_there } = self.subjects.state();
        let (persons, failures) = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.persons, seen.failures)
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
            gauge("cloister_subjects_destroyed", "Times that something was destroyed in the subject vault", {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).destroyed.unwrap_or(0)
            }),
        ]
    }
}

/// Without it no member is served, so nobody should be sent here.
impl Check for Persons {
    fn name(&self) -> &'static str {
        "subjects"
    }

    fn check(&self) -> Standing {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&seen.fault, self.subjects.state().is_there) {
            (None, _) => Standing::Up,
            (Some(_), true) => Standing::Impaired("the subject vault cannot be used as it should, see the log".into()),
            (Some(_), false) => Standing::Down("the subject vault cannot be used: no member is served".into()),
        }
    }
}
