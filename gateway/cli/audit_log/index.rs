use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use audit::Indexer;

use crate::args;
use crate::failure::Failure;
use crate::print::{self, Style};

pub(super) fn run(arguments: &args::Index) -> Result<(), Failure> {
    let logs = super::logs(&arguments.log)?;
    let mut outcome = Ok(());
    for found in &logs {
        super::heading(&logs, found);
        outcome = outcome.and(of_one(arguments, &found.directory));
    }
    outcome
}

fn of_one(arguments: &args::Index, directory: &Path) -> Result<(), Failure> {
    let mut indexer = Indexer::open(directory).map_err(|error| Failure::setup("the index", &error))?;
    let broke = |error: &audit::IndexError| Failure::broke("the index", error);
    if arguments.check {
        let (mut wrong, sealed) = (0, indexer.sealed().map_err(|error| broke(&error))?);
        for (at, first) in sealed.iter().enumerate() {
            progress(at, sealed.len());
            if !indexer.is_right(*first).map_err(|error| broke(&error))? {
                wrong += 1;
                print::line(Style::stdout().bad(&format!("the index of segment {first} is not what its records say")));
            }
        }
        progress(sealed.len(), sealed.len());
        print::line(format_args!("{} looked at", print::counted(sealed.len(), "segment")));
        return if wrong == 0 { Ok(()) } else { Err(Failure::No) };
    }
    let wanted = indexer.wanted().map_err(|error| broke(&error))?;
    let (mut records, mut bytes) = (0, 0);
    for (at, first) in wanted.iter().enumerate() {
        progress(at, wanted.len());
        let made = indexer.make(*first).map_err(|error| broke(&error))?;
        (records, bytes) = (records + made.records, bytes + made.bytes);
    }
    progress(wanted.len(), wanted.len());
    let segments = print::counted(wanted.len(), "segment");
    print::line(format_args!("{segments} indexed: {records} records, {} KiB", bytes.div_ceil(1024)));
    Ok(())
}

/// How far it is, on a terminal.
fn progress(done: usize, all: usize) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() && all > 0 {
        let end = if done == all { "\n" } else { "" };
        drop(write!(terminal, "\r{done} of {all} segments{end}"));
    }
}
