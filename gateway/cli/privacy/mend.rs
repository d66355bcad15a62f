use audit::Reader;
use subjects::{EventKind, Making, Order};
use terms::{Clock, Surrogate, TenantId};

use super::open_as;
use crate::args::At;
use crate::failure::Failure;
use crate::{logs, operator, print};

/// Erases again whom the log says was erased.
pub(super) fn run(at: &At, clock: &dyn Clock) -> Result<(), Failure> {
    let (settings, mut vault) = open_as(at, Making::SetBack)?;
    let (mut persons, mut tenants) = (Vec::<Surrogate>::new(), Vec::<(TenantId, u64)>::new());
    let directory = &settings.audit.directory;
    let logs = logs::on_disk(directory).map_err(|error| Failure::setup(directory.display(), &error))?;
    let readers = logs.iter().map(|found| Reader::open(&found.directory)).collect::<Result<Vec<_>, _>>();
    for stored in readers.map_err(|error| Failure::setup("the log", &error))?.into_iter().flatten() {
        let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
        let Ok(row) = stored.row() else { continue };
        if row.kind == Some(EventKind::Erased.as_str()) {
            persons.extend(row.sub.and_then(|sub| sub.parse::<Surrogate>().ok()));
        } else if row.kind == Some(EventKind::OffBoarded.as_str()) {
            tenants.extend(row.tenant.and_then(|tenant| tenant.parse::<TenantId>().ok()).zip(row.done));
        }
    }
    let order = Order {
        reason: "erased again: the vault was set back".into(),
        reference: None,
        who: operator::author(),
        done: clock.unix_seconds(),
    };
    let erased = vault.mend(&persons, &tenants, &order).map_err(|error| Failure::setup("nothing is mended", &error))?;
    vault
        .scrub()
        .map_err(|error| Failure::broke("it is mended, but what was destroyed may still lie on the disk", &error))?;
    let erased = print::counted(usize::try_from(erased).unwrap_or(usize::MAX), "person");
    print::line(format_args!("Erased again: {erased}, as the log says. A gateway starts with this vault."));
    print::line("Who came for the first time after the backup was made has another name in the log from now on.");
    Ok(())
}
