//! Whoever reads the log is on record, too (PCI DSS 10.2.1.3). The store keeps it until a gateway has put it there.

use std::path::Path;

use store::{AuditUse, Store};
use terms::{Clock as _, SystemClock, TenantId};

use crate::args::Log;
use crate::operator;
use crate::{load, print};

/// What was done with the log.
pub(super) struct Use {
    pub(super) what: store::UseOf,
    /// Whose records, if they are of one tenant.
    pub(super) tenant: Option<TenantId>,
    /// Which records, without what names a person.
    pub(super) filter: String,
    /// How many.
    pub(super) found: Option<u64>,
}

impl Use {
    pub(super) const fn read() -> Self {
        Self { what: store::UseOf::Read, tenant: None, filter: String::new(), found: None }
    }
}

/// Has it put on record. A copy of a log has no gateway that could, and who may only read the log cannot ask for it: that
/// is said, and keeps nobody from reading.
pub(super) fn note(log: &Log, directory: &Path, used: &Use) {
    if let Err(why) = try_note(log, directory, used) {
        print::notice(format_args!("this is not on record: {why}"));
    }
}

fn try_note(log: &Log, directory: &Path, used: &Use) -> Result<(), String> {
    let copy = || "the log is not that of a gateway of this configuration".to_owned();
    let Ok((settings, _)) = load::config(&log.config) else { return Err(copy()) };
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    let ours = crate::logs::places(&settings.audit).into_iter().filter_map(|place| same(&place.directory));
    if same(directory).is_none_or(|directory| !ours.collect::<Vec<_>>().contains(&directory)) {
        return Err(copy());
    }
    let chain = |error: store::StoreError| terms::chain(&error).to_string();
    let store = Store::open_existing(&settings.state).map_err(chain)?;
    let Use { what, tenant, filter, found } = used;
    let filter = filter.trim();
    let used = AuditUse {
        what: *what,
        tenant: tenant.clone(),
        filter: filter.into(),
        found: *found,
        who: operator::author(),
        done: SystemClock.unix_seconds(),
    };
    store.note_use(&used).map_err(chain)
}
