use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use audit::{Matches, Order, Query, Reach, ReadError, Stored};
use terms::{Clock as _, SystemClock};

use super::members;
use super::on_record::{self, Use};
use super::rows::Out;
use crate::args::{self, Limit, Records};
use crate::failure::Failure;
use crate::logs::Found;
use crate::print;

pub(super) fn run(arguments: &args::Query) -> Result<(), Failure> {
    let args::Query { log, filter, limit: Limit(limit), format } = arguments;
    let logs = super::logs(log)?;
    let query = Query { names: members::names(log, filter)?, ..filter.query(SystemClock.now())? };
    let used = |found| Use { tenant: query.tenant.clone(), filter: filter.words(), found, ..Use::read() };
    let mut out = Out::new(*format);
    let streams = limit.is_none() && *format != Records::Table;
    let order = if streams { Order::Oldest } else { Order::Latest };
    let ask = |log: &Found| Asked::of(&log.directory, Query { limit: *limit, order, ..query.clone() });
    let asked = logs.iter().map(ask).collect::<Result<Vec<_>, _>>()?;
    let mut merged = Merged { asked, order, damaged: None };
    let Some(first) = logs.first() else { return Ok(()) };
    if streams {
        // ORDER: on record before the first of it is shown. How many they are is not known by then.
        on_record::note(log, &first.directory, &used(None));
        while let Some((log, stored)) = merged.next() {
            out.put(&log, &stored)?;
        }
    } else {
        let mut found: VecDeque<(Rc<str>, Stored)> = VecDeque::new();
        while let Some(next) = merged.next().filter(|_| limit.is_none_or(|limit| found.len() < limit)) {
            found.push_front(next);
        }
        on_record::note(log, &first.directory, &used(Some(found.len() as u64)));
        found.iter().try_for_each(|(log, stored)| out.put(log, stored))?;
    }
    out.end();
    merged.asked.iter().for_each(|asked| tell(asked.matches.reach()));
    // What is around the damage was shown: it is what the log has.
    merged.damaged.map_or(Ok(()), |error| Err(Failure::broke("the log", &error)))
}

/// One log that is asked, and what it answers next.
struct Asked {
    log: Rc<str>,
    matches: Matches,
    next: Option<(Stored, String)>,
}

impl Asked {
    fn of(directory: &Path, query: Query) -> Result<Self, Failure> {
        let log = super::rows::log_id(directory)?.into();
        let matches = query.run(directory).map_err(|error| Failure::setup("the log", &error))?;
        Ok(Self { log, matches, next: None })
    }
}

/// What several logs answer, in the order of the times that the records say. Within one log they stay in its own order.
struct Merged {
    asked: Vec<Asked>,
    order: Order,
    damaged: Option<ReadError>,
}

impl Merged {
    fn next(&mut self) -> Option<(Rc<str>, Stored)> {
        for asked in &mut self.asked {
            while asked.next.is_none() {
                match asked.matches.next() {
                    Some(Ok(stored)) => {
                        let time = stored.row().map(|row| row.time.to_owned()).unwrap_or_default();
                        asked.next = Some((stored, time));
                    }
                    Some(Err(error)) => drop(self.damaged.get_or_insert(error)),
                    None => break,
                }
            }
        }
        let ready = self.asked.iter_mut().filter(|asked| asked.next.is_some());
        let time = |asked: &&mut Asked| asked.next.as_ref().map(|(_, time)| time.clone());
        let next = match self.order {
            Order::Latest => ready.max_by_key(time),
            Order::Oldest => ready.min_by_key(time),
        };
        next.and_then(|asked| Some((Rc::clone(&asked.log), asked.next.take()?.0)))
    }
}

/// Says on standard error how the answer was found.
fn tell(reach: Reach) {
    let Reach { indexed, read, scanned, without_key } = reach;
    let how = if without_key { ", since the log's key cannot be read" } else { "" };
    print::notice(format_args!("{indexed} records by the index, of which {read} were read; {scanned} without it{how}"));
}
