use std::time::Duration;

use audit::{Reader, Sieve};
use terms::{Clock as _, SystemClock};

use super::members;
use super::on_record::{self, Use};
use super::rows::{Out, log_id};
use crate::args;
use crate::failure::Failure;

/// How often it looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// How many records of one log are taken before it is another's turn.
const AT_ONCE: usize = 256;

pub(super) fn run(arguments: &args::Tail) -> Result<(), Failure> {
    let args::Tail { log, filter, follow: _, format } = arguments;
    let logs = super::logs(log)?;
    let mut query = audit::Query { names: members::names(log, filter)?, ..filter.query(SystemClock.now())? };
    let is_open = filter.words().is_empty();
    if is_open {
        query.which = audit::Which::All; // whoever asks for nothing in particular sees everything
    }
    let tenant = query.tenant.clone();
    let mut followed = Vec::new();
    for found in &logs {
        let sieve = Sieve::open(query.clone(), &found.directory).map_err(|error| Failure::setup("the log", &error))?;
        let reader = Reader::follow(&found.directory).map_err(|error| Failure::setup("the log", &error))?;
        followed.push((log_id(&found.directory)?, sieve, reader));
    }
    if let Some(first) = logs.first() {
        let filter = format!("tail {}", filter.words());
        on_record::note(log, &first.directory, &Use { tenant, filter, ..Use::read() });
    }
    let mut out = Out::following(*format);
    loop {
        let mut waits = true;
        for (log, sieve, reader) in &mut followed {
            // A few of each at a time, so that none is kept waiting by another.
            for stored in reader.by_ref().take(AT_ONCE) {
                waits = false;
                let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
                if sieve.wants(&stored) {
                    out.put(log, &stored)?;
                }
            }
        }
        if waits {
            std::thread::sleep(LOOK);
        }
    }
}
