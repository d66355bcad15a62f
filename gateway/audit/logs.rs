use std::sync::Arc;

use terms::RetentionClass;

use crate::Journal;

/// The logs of one gateway, each kept for its own time: the first of whoever is in no class of its own, and of all that is no
/// tenant's. A request goes into one of them; its tenant says which.
///
/// A request is counted where it comes in, in the first log, before anybody knows whose it is: so a request that is never placed,
/// for whatever reason, is missed there. Where it is placed in another one, it is counted there in place of that, so that in
/// each of them the requests are as many as the records. Counting it only where it is placed would say nothing: who forgets to
/// place it forgets to count it.
#[derive(Debug)]
pub struct Logs {
    first: Arc<Journal>,
    others: Box<[Arc<Journal>]>,
}

impl Logs {
    /// The log of the default class, and those of the others in the order of the settings.
    #[must_use]
    pub fn new(first: Arc<Journal>, others: Vec<Arc<Journal>>) -> Self {
        Self { first, others: others.into() }
    }

    /// The only log that there is.
    #[must_use]
    pub fn alone(first: Arc<Journal>) -> Self {
        Self::new(first, Vec::new())
    }

    /// The log of the default class.
    #[must_use]
    pub const fn first(&self) -> &Arc<Journal> {
        &self.first
    }

    /// The log of this class.
    #[must_use]
    pub fn of(&self, class: RetentionClass) -> &Arc<Journal> {
        // Classes are places in the settings that these were made of. The first has whatever has no other.
        class.beyond_default().and_then(|other| self.others.get(other)).unwrap_or(&self.first)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Journal>> {
        [&self.first].into_iter().chain(&self.others)
    }

    /// See [`Journal::arrived`].
    pub fn arrived(&self) {
        self.first.arrived();
    }

    /// The log of a request that came in, where it is counted from now on. Whoever calls this writes its record there, or takes
    /// it back ([`Logs::give_back`]).
    #[must_use]
    pub fn take(&self, class: RetentionClass) -> &Arc<Journal> {
        let log = self.of(class);
        if !Arc::ptr_eq(log, &self.first) {
            // ORDER: here before it leaves there. A process that dies in between has it counted in two logs, and in none of them
            // is a record more than came in. Both then own up to one that has no answer.
            log.arrived();
            self.first.left();
        }
        log
    }

    /// The request goes back to where it came in: it could not be recorded, and has yet to be refused.
    pub fn give_back(&self, log: &Arc<Journal>) {
        if !Arc::ptr_eq(log, &self.first) {
            self.first.arrived();
            log.left();
        }
    }
}
