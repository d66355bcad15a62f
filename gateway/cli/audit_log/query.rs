use std::collections::VecDeque;

use audit::{Order, Query, Reach, Stored};
use terms::{Clock as _, SystemClock};

use super::members;
use super::on_record::{self, Use};
use super::rows::Out;
use crate::args::{self, Limit, Records};
use crate::failure::Failure;
use crate::print;

pub(super) fn run(arguments: &args::Query) -> Result<(), Failure> {
    let args::Query { log, filter, limit: Limit(limit), format } = arguments;
    let directory = super::directory(log)?;
    let query = Query { names: members::names(log, filter)?, ..filter.query(SystemClock.now())? };
    let used = |found| Use { tenant: query.tenant.clone(), filter: filter.words(), found, ..Use::read() };
    let mut out = Out::new(*format, &directory)?;
    let streams = limit.is_none() && *format != Records::Table;
    let order = if streams { Order::Oldest } else { Order::Latest };
    let mut matches = Query { limit: *limit, order, ..query.clone() }
        .run(&directory)
        .map_err(|error| Failure::setup("the log", &error))?;
    let broke = |error: &audit::ReadError| Failure::broke("the log", error);
    let mut damaged = None;
    if streams {
        // ORDER: on record before the first of it is shown. How many they are is not known by then.
        on_record::note(log, &directory, &used(None));
        for stored in matches.by_ref() {
            match stored {
                Ok(stored) => out.put(&stored)?,
                Err(error) => damaged = Some(damaged.unwrap_or(error)),
            }
        }
    } else {
        let mut found: VecDeque<Stored> = VecDeque::new();
        for stored in matches.by_ref() {
            match stored {
                Ok(stored) => found.push_front(stored),
                Err(error) => damaged = Some(damaged.unwrap_or(error)),
            }
        }
        on_record::note(log, &directory, &used(Some(found.len() as u64)));
        found.iter().try_for_each(|stored| out.put(stored))?;
    }
    out.end();
    tell(matches.reach());
    // What is around the damage was shown: it is what the log has.
    damaged.map_or(Ok(()), |error| Err(broke(&error)))
}

/// Says on standard error how the answer was found.
fn tell(reach: Reach) {
    let Reach { indexed, read, scanned, without_key } = reach;
    let how = if without_key { ", since the log's key cannot be read" } else { "" };
    print::notice(format_args!("{indexed} records by the index, of which {read} were read; {scanned} without it{how}"));
}
