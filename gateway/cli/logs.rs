//! The audit logs of this gateway: one for each retention class, in a folder of its own. That of the default class is the folder
//! that the settings name; the others lie in `classes` below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{Cause, Committer, Journal, Logs};
use gate::Rules;
use sinks::Feeding;
use terms::{ClassName, Clock, Live, TenantId};
use tlog::Name;

use crate::cosigning::{Cosigning, Witnesses};
use crate::failure::Failure;
use crate::log_work::LogWork;
use crate::metrics::OfLog;
use crate::origin::Origin;
use crate::publishing::{self, Publishing, Wanted};
use crate::reckoning::Reckoning;
use crate::retaining::{Growth, Keeping};
use crate::settings::{Audit, Retention, Rotation};
use crate::{delivering, indexing};

const CLASSES: &str = "classes";

/// One of the logs, as the settings want it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The name of its class.
    pub(crate) class: String,
    pub(crate) directory: PathBuf,
    pub(crate) retention: Retention,
}

/// Those that the settings name, the default one first.
pub(crate) fn places(audit: &Audit) -> Vec<Place> {
    let (class, directory) = (ClassName::DEFAULT.to_owned(), audit.directory.clone());
    let first = Place { class, directory, retention: audit.retention };
    let others = audit.classes.iter().map(|class| Place {
        class: class.name.to_string(),
        directory: folder(&audit.directory, class.name.as_str()),
        retention: class.retention,
    });
    [first].into_iter().chain(others).collect()
}

fn folder(directory: &Path, class: &str) -> PathBuf {
    directory.join(CLASSES).join(class)
}

/// The folder below that of a log in which those of other classes lie.
pub(crate) fn is_of_others(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == CLASSES)
}

/// One of the logs, as it is found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) class: String,
    pub(crate) directory: PathBuf,
}

/// Those that are there in this folder, the default one first, whether any settings name them or not.
pub(crate) fn on_disk(directory: &Path) -> io::Result<Vec<Found>> {
    let mut others = Vec::new();
    let entries = match fs::read_dir(directory.join(CLASSES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    for entry in entries.into_iter().flatten() {
        let directory = entry?.path();
        let class = directory.file_name().and_then(|name| name.to_str()?.parse::<ClassName>().ok());
        if let Some(class) = class.filter(|_| directory.join("segments").is_dir()) {
            others.push(Found { class: class.to_string(), directory });
        }
    }
    others.sort_by(|one, other| one.class.cmp(&other.class));
    let first = Found { class: ClassName::DEFAULT.to_owned(), directory: directory.to_owned() };
    Ok([first].into_iter().chain(others).collect())
}

/// FAIL CLOSED: a log that nobody would sign for, read again and prune is not left behind in silence.
fn none_is_orphaned(audit: &Audit) -> Result<(), Failure> {
    let found = on_disk(&audit.directory).map_err(|error| Failure::setup(audit.directory.display(), &error))?;
    let is_named = |found: &Found| audit.classes.iter().any(|class| class.name.as_str() == found.class);
    match found.iter().skip(1).find(|found| !is_named(found)) {
        None => Ok(()),
        Some(Found { class, directory }) => Err(Failure::Setup(format!(
            "`{}` has records of the retention class `{class}`, which `audit.retention.classes` does not name any more: name it, \
             also if no tenant is in it, and its records go when their time is over; or move the folder away",
            directory.display()
        ))),
    }
}

/// What all logs have in common.
pub(crate) struct Common {
    pub(crate) state: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) instance: String,
    pub(crate) origin: Option<Name>,
    pub(crate) every: Duration,
    pub(crate) rotation: Rotation,
    /// Who has started this.
    pub(crate) by: Cause,
    pub(crate) witnesses: Option<Witnesses>,
    pub(crate) sinks: Vec<Arc<sinks::Settings>>,
}

/// A log that is open, and what works on it, not yet at work.
pub(crate) struct OpenLog {
    place: Place,
    journal: Arc<Journal>,
    committer: Committer,
    publishing: Publishing,
    cosigning: Option<Cosigning>,
    feeding: Feeding,
}

/// Shows that each log has all that was signed for, before any is opened: what is opened is added to.
pub(crate) fn reach(audit: &Audit, state: &Path) -> Result<Vec<Place>, Failure> {
    none_is_orphaned(audit)?;
    let places = places(audit);
    places.iter().try_for_each(|place| publishing::reaches(&place.directory, state))?;
    Ok(places)
}

/// Opens them, or takes them over.
pub(crate) fn open(places: Vec<Place>, common: Common, origin: &mut Origin) -> Result<Vec<OpenLog>, Failure> {
    let Common { state, clock, instance, origin: name, every, rotation, by, witnesses, sinks } = common;
    delivering::warn(&sinks);
    let mut journals = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let settings = audit::Settings { by, ..audit::Settings::new(place.directory.clone(), instance.clone()) };
        let whose = if number == 0 { Whose::Always } else { Whose::OfThoseWithClasses };
        let (journal, committer) = origin.journal(settings, whose, Arc::clone(&clock))?;
        journals.push((place, journal, committer));
    }
    let open = |(place, journal, committer): (Place, Arc<Journal>, Committer)| {
        let log = place.directory.clone();
        let class = Some(&place.class).filter(|class| *class != ClassName::DEFAULT).cloned();
        let (state, instance, origin) = (state.clone(), instance.clone(), name.clone());
        let wanted = Wanted { log: log.clone(), state: state.clone(), instance, origin, class, every, rotation };
        let publishing = Publishing::open(wanted, Arc::clone(&journal), Arc::clone(&clock))?;
        let cosigning = witnesses
            .clone()
            .map(|witnesses| Cosigning::new(log.clone(), witnesses, Arc::clone(&journal), Arc::clone(&clock)));
        let feeding = delivering::prepare(log, state, sinks.clone(), &journal, &clock)?;
        Ok(OpenLog { place, journal, committer, publishing, cosigning, feeding })
    };
    journals.into_iter().map(open).collect()
}

/// Which processes of before have a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Whose {
    /// Each has it.
    Always,
    /// Those that know of classes: others are not asked for what they would not understand.
    OfThoseWithClasses,
}

/// All of them.
pub(crate) fn all(open: &[OpenLog]) -> Option<Logs> {
    let mut journals = open.iter().map(|log| Arc::clone(&log.journal));
    Some(Logs::new(journals.next()?, journals.collect()))
}

impl OpenLog {
    /// Its folder, and its journal.
    pub(crate) fn handle(&self) -> (PathBuf, Arc<Journal>) {
        (self.place.directory.clone(), Arc::clone(&self.journal))
    }

    /// All that works on it, and what Prometheus sees of that.
    pub(crate) fn prepared(
        self,
        reckoning: &Arc<Reckoning>,
        growth: &Arc<Growth>,
        keeping: Vec<Arc<dyn Keeping>>,
    ) -> Prepared {
        let Self { place: Place { class, directory, retention }, journal, committer, publishing, cosigning, feeding } =
            self;
        let indexed: Arc<indexing::Counts> = Arc::default();
        let keeping = keeping.into_iter().chain([delivering::keeping(&feeding, &journal)]).collect();
        let scrubbing = publishing.scrubbing(retention, Arc::clone(reckoning), Arc::clone(growth), keeping);
        let of_log = OfLog {
            class,
            journal: Arc::clone(&journal),
            checkpoints: publishing.counts(),
            indexed: Arc::clone(&indexed),
            witnesses: cosigning.as_ref().map(Cosigning::counts),
            sinks: Box::new(feeding.conditions()),
            scrubbed: Arc::clone(&scrubbing.counts),
            retained: Arc::clone(&scrubbing.retaining.counts),
        };
        let work = LogWork { log: directory, journal, publishing, scrubbing, indexed, feeding };
        Prepared { of_log, work, committer, cosigning }
    }
}

/// A log, ready to be worked on.
pub(crate) struct Prepared {
    pub(crate) of_log: OfLog,
    pub(crate) work: LogWork,
    pub(crate) committer: Committer,
    pub(crate) cosigning: Option<Cosigning>,
}

/// The logs, for records that are about a tenant: they are kept as long as the tenant's others are.
#[derive(Clone, Debug)]
pub(crate) struct TenantLogs {
    logs: Arc<Logs>,
    rules: Arc<Live<Rules>>,
}

impl TenantLogs {
    pub(crate) const fn new(logs: Arc<Logs>, rules: Arc<Live<Rules>>) -> Self {
        Self { logs, rules }
    }

    /// The log of what is about nobody in particular.
    pub(crate) fn first(&self) -> &Arc<Journal> {
        self.logs.first()
    }

    /// The log of this tenant as of now.
    pub(crate) fn of(&self, tenant: Option<&TenantId>) -> &Arc<Journal> {
        self.logs.of(self.rules.glance().retention(tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_that_are_there_are_found_whatever_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let names = |folder: &Path| on_disk(folder).unwrap().into_iter().map(|found| found.class).collect::<Vec<_>>();
        assert_eq!(names(folder.path()), ["default"]);
        for class in ["r6y", "r400d", "No-Class", "empty"] {
            let segments = folder.path().join("classes").join(class).join("segments");
            fs::create_dir_all(if class == "empty" { segments.parent().unwrap() } else { &segments }).unwrap();
        }
        fs::write(folder.path().join("classes/file"), "").unwrap();
        assert_eq!(names(folder.path()), ["default", "r400d", "r6y"]);
    }
}
