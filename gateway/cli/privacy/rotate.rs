use subjects::{EventKind, Order};

use super::open;
use super::receipt::{Awaited, OnRecord};
use crate::args::At;
use crate::failure::Failure;
use crate::print;

/// Puts another root in the place of the vault's.
pub(super) fn run(order: &Order, at: &At) -> Result<(), Failure> {
    let (settings, mut vault) = open(at)?;
    let mut awaited = Awaited::from_now(&settings.audit.directory);
    let persons = vault.rotate(order).map_err(|error| Failure::setup("the root is not rotated", &error))?;
    vault.scrub().map_err(|error| {
        Failure::broke("the root is rotated, but what it has wrapped may still lie on the disk: erase somebody", &error)
    })?;
    let persons = print::counted(usize::try_from(persons).unwrap_or(usize::MAX), "person");
    print::line(format_args!(
        "The subject vault has another root: each tenant has another key, and the keys of {persons} are wrapped with these."
    ));
    if settings.audit.privacy.root.is_some() {
        print::line(
            "It is the one of `audit.privacy.next_root`: write it as `root`, and leave `next_root` out. Gateways that were started with both go on with it.",
        );
    } else {
        print::line("It lies in the state folder, as `subjects.key`. A gateway that runs goes on with it.");
    }
    print::line(
        "Backups from before are opened by the old root alone, and by no key of today: destroy it, and they are worth nothing.",
    );
    match awaited.record(EventKind::RootRotated, None, order)? {
        Some(OnRecord { index, .. }) => print::line(format_args!("On record: record {index} of the log.")),
        None => print::line(
            "Not on record yet: no gateway runs with this state folder. The next that starts puts it there.",
        ),
    }
    Ok(())
}
