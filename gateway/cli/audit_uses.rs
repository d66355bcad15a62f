//! Who read the log, and had reports made of it, is in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use audit::{LogUse, Note};
use store::{Store, StoreError};

use crate::logs::TenantLogs;

/// How many are put on record at a time.
const AT_ONCE: u32 = 256;

/// Puts on record what commands have told the store.
pub(crate) struct AuditUses {
    store: Arc<Store>,
    logs: TenantLogs,
    /// At which version of the store there was nothing left to do.
    seen: AtomicU64,
    waits: AtomicBool,
}

impl AuditUses {
    pub(crate) const fn new(store: Arc<Store>, logs: TenantLogs) -> Self {
        Self { store, logs, seen: AtomicU64::new(u64::MAX), waits: AtomicBool::new(true) }
    }

    /// Looks at the store, which is at this version.
    pub(crate) fn refresh_at(&self, version: Option<u64>) {
        let Some(version) = version else { return };
        if self.seen.swap(version, Ordering::Relaxed) == version && !self.waits.load(Ordering::Relaxed) {
            return;
        }
        match self.record() {
            Ok(all) => self.waits.store(!all, Ordering::Relaxed),
            Err(error) => tracing::warn!(error = terms::chain(&error), "who read the audit log is not on record yet"),
        }
    }

    /// `false`: not all of it could be.
    fn record(&self) -> Result<bool, StoreError> {
        self.waits.store(true, Ordering::Relaxed);
        loop {
            let (uses, last) = self.store.audit_uses(AT_ONCE)?;
            let Some(last) = last else { return Ok(true) };
            for used in &uses {
                let store::AuditUse { what, tenant, filter, found, who, done } = used;
                let report = *what == store::UseOf::Reported;
                let of = LogUse { tenant: tenant.as_ref(), filter, found: *found, by: *who, done: *done };
                let noted =
                    self.logs.of(tenant.as_ref()).note(&if report { Note::Reported(of) } else { Note::Read(of) });
                if noted.is_err() {
                    return Ok(false); // there is no room for it now
                }
            }
            self.store.uses_recorded(last)?;
        }
    }
}
