use std::time::Duration;

use audit::{Reader, Sieve};
use terms::{Clock as _, SystemClock};

use super::members;
use super::on_record::{self, Use};
use super::rows::Out;
use crate::args;
use crate::failure::Failure;

/// How often it looks for more.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(arguments: &args::Tail) -> Result<(), Failure> {
    let args::Tail { log, filter, follow: _, format } = arguments;
    let directory = super::directory(log)?;
    let mut query = audit::Query { names: members::names(log, filter)?, ..filter.query(SystemClock.now())? };
    let is_open = filter.words().is_empty();
    if is_open {
        query.which = audit::Which::All; // whoever asks for nothing in particular sees everything
    }
    let tenant = query.tenant.clone();
    let mut sieve = Sieve::open(query, &directory).map_err(|error| Failure::setup("the log", &error))?;
    let mut reader = Reader::follow(&directory).map_err(|error| Failure::setup("the log", &error))?;
    on_record::note(log, &directory, &Use { tenant, filter: format!("tail {}", filter.words()), ..Use::read() });
    let mut out = Out::following(*format, &directory)?;
    loop {
        match reader.next() {
            Some(stored) => {
                let stored = stored.map_err(|error| Failure::broke("the log", &error))?;
                if sieve.wants(&stored) {
                    out.put(&stored)?;
                }
            }
            None => std::thread::sleep(LOOK),
        }
    }
}
