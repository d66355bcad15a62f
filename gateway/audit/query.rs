use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::SystemTime;

use terms::{IssuerId, Reason, RequestId, Subject, TenantId};

use crate::index::Reading;
use crate::line::Line;
use crate::reader::{ReadError, Reader, Stored};
use crate::row::Row;
use crate::{Decision, Glass, LogKey, LogKeyError, Pseudonym, segment};

mod pieces;

use pieces::Piece;

/// Which records are wanted. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Final records of requests alone, or others, too.
    pub which: Which,
    /// Those that act for this tenant, or are about it.
    pub tenant: Option<TenantId>,
    /// Those of this subject, of whichever issuer. Needs the log's key.
    pub subject: Option<Subject>,
    /// What else the log has for that subject, as the subject vault knows: of each tenant in which it is a member, another.
    pub names: Vec<Pseudonym>,
    /// Those of this subject, as the records hide it.
    pub sub: Option<String>,
    /// Those of this API key, by what it is called.
    pub key: Option<String>,
    /// Those of this request.
    pub id: Option<RequestId>,
    /// Those with this reason.
    pub reason: Option<Reason>,
    /// Those of this route.
    pub route: Option<String>,
    /// Those that were allowed, or denied.
    pub decision: Option<Decision>,
    /// Those that got this status.
    pub status: Option<u16>,
    /// Those that no role granted and somebody justified, or the others.
    pub glass: Option<Glass>,
    /// The log's own of this kind.
    pub kind: Option<String>,
    /// Those of this time or later: of a request, when it arrived.
    pub from: Option<SystemTime>,
    /// Those before this time.
    pub to: Option<SystemTime>,
    /// Those at these places of the log.
    pub places: Option<RangeInclusive<u64>>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Which come first.
    pub order: Order,
}

/// What kinds of records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Which {
    /// Every record.
    All,
    /// The one record that every request has at its end.
    #[default]
    Finals,
}

/// Which records come first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The last in the log.
    Latest,
    /// The first in the log.
    #[default]
    Oldest,
}

/// Why a query cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Subjects are hidden under the log's key, which cannot be used.
    #[error("a subject can only be looked for with the log's key")]
    Key(#[from] LogKeyError),
    /// The log cannot be read.
    #[error("cannot read the audit log")]
    Read(#[from] ReadError),
}

/// How an answer was found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    /// Records of segments whose index was asked.
    pub indexed: u64,
    /// Those of them that were read, since they may fit.
    pub read: u64,
    /// Records that no index reaches: each was read.
    pub scanned: u64,
    /// Whether the index could not be used at all, as the log's key is not here.
    pub without_key: bool,
}

impl Query {
    /// Looks through the log in this directory, which may be in use: by its index as far as that reaches, and else by each
    /// record.
    ///
    /// # Errors
    /// When there is no log, or its key is needed and cannot be used. Damage comes as errors among the records: what is
    /// around it is still found.
    pub fn run(self, directory: &Path) -> Result<Matches, QueryError> {
        let key = match LogKey::read(directory) {
            Ok(key) => Some(key),
            Err(error) if self.subject.is_some() => return Err(error.into()),
            Err(_) => None,
        };
        let segments = segment::list(directory).map_err(|error| ReadError::Io(directory.to_owned(), error))?;
        let nexts = segments.iter().skip(1).map(|next| Some(*next)).chain([None]);
        Ok(Matches {
            left: self.limit.unwrap_or(usize::MAX),
            places: segments.iter().copied().zip(nexts).collect(),
            pieces: VecDeque::new(),
            ready: VecDeque::new(),
            reach: Reach { without_key: key.is_none(), ..Reach::default() },
            sieve: Sieve::of(self, key),
            directory: directory.to_owned(),
        })
    }
}

/// Says of a record whether it is wanted.
#[derive(Debug)]
pub struct Sieve {
    query: Query,
    /// RFC 3339 in UTC with a fixed number of digits sorts as time does.
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    key: Option<LogKey>,
    /// The wanted subject as each issuer's records say it: as many as the settings had issuers.
    pseudonyms: HashMap<String, Option<Pseudonym>>,
}

impl Sieve {
    /// For records that come in another way than by [`Query::run`].
    ///
    /// # Errors
    /// The log's key is needed and cannot be used.
    pub fn open(query: Query, directory: &Path) -> Result<Self, LogKeyError> {
        let key = query.subject.as_ref().map(|_| LogKey::read(directory)).transpose()?;
        Ok(Self::of(query, key))
    }

    fn of(query: Query, key: Option<LogKey>) -> Self {
        let bound = |at: SystemTime| {
            let mut line = Line::new();
            line.instant(at);
            line.as_bytes().to_vec()
        };
        let (from, to) = (query.from.map(bound), query.to.map(bound));
        Self { query, from, to, key, pseudonyms: HashMap::new() }
    }

    /// Whether this record is wanted. What is no record is for [`crate::verify`] to say; it is none that was asked for.
    pub fn wants(&mut self, stored: &Stored) -> bool {
        self.query.places.as_ref().is_none_or(|places| places.contains(&stored.index))
            && stored.row().is_ok_and(|row| self.takes(&row))
    }

    fn takes(&mut self, row: &Row<'_>) -> bool {
        let Query { which, tenant, subject: _, sub, key, id, reason, route, decision, status, glass, kind, .. } =
            &self.query;
        (*which == Which::All || row.stage == Some("final"))
            && tenant.as_ref().is_none_or(|tenant| row.tenant == Some(tenant.as_str()))
            && sub.as_ref().is_none_or(|sub| row.sub == Some(sub))
            && key.as_ref().is_none_or(|key| row.key == Some(key))
            && id.is_none_or(|id| row.request_id() == Some(id))
            && reason.is_none_or(|reason| row.reason == Some(reason.as_str()))
            && route.as_ref().is_none_or(|route| row.route == Some(route))
            && decision.is_none_or(|decision| row.decision == Some(decision.as_str()))
            && status.is_none_or(|status| row.status == Some(status))
            && glass.is_none_or(|glass| (glass == Glass::Broken) == (row.break_glass == Some(true)))
            && kind.as_ref().is_none_or(|kind| row.kind == Some(kind))
            && self.from.as_ref().is_none_or(|from| row.time.as_bytes() >= from.as_slice())
            && self.to.as_ref().is_none_or(|to| row.time.as_bytes() < to.as_slice())
            && self.is_subject(row)
    }

    fn is_subject(&mut self, row: &Row<'_>) -> bool {
        if self.query.subject.is_none() {
            return true;
        }
        let (Some(sub), Some(issuer)) = (row.sub, row.iss) else {
            return false;
        };
        self.query.names.iter().any(|name| name.as_str() == sub)
            || self.hidden(issuer).is_some_and(|pseudonym| pseudonym.as_str() == sub)
    }

    /// The wanted subject, as records of this issuer say it.
    fn hidden(&mut self, issuer: &str) -> Option<Pseudonym> {
        let (Some(subject), Some(key)) = (&self.query.subject, &self.key) else { return None };
        if let Some(known) = self.pseudonyms.get(issuer) {
            return *known;
        }
        let pseudonym = issuer.parse::<IssuerId>().ok().map(|issuer| key.pseudonym(&issuer, subject));
        self.pseudonyms.insert(issuer.to_owned(), pseudonym);
        pseudonym
    }
}

/// The records that a [`Query`] asks for, in its order.
#[derive(Debug)]
pub struct Matches {
    directory: std::path::PathBuf,
    sieve: Sieve,
    left: usize,
    /// The segments that are still to be looked at, each with the one that follows.
    places: VecDeque<(u64, Option<u64>)>,
    pieces: VecDeque<Piece>,
    ready: VecDeque<Result<Stored, ReadError>>,
    reach: Reach,
}

impl Matches {
    /// How what came so far was found.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    fn next_in_order<T>(queue: &mut VecDeque<T>, order: Order) -> Option<T> {
        match order {
            Order::Latest => queue.pop_back(),
            Order::Oldest => queue.pop_front(),
        }
    }

    /// Divides a segment into what must be read of it.
    fn divide(&mut self, first: u64, next: Option<u64>) {
        if let Some(places) = &self.sieve.query.places
            && (first > *places.end() || next.is_some_and(|next| next <= *places.start()))
        {
            return;
        }
        let key = self.sieve.key.as_ref().filter(|_| next.is_some());
        let reading = key.and_then(|key| Reading::open(&self.directory, first, key));
        let divided = reading.and_then(|reading| {
            let records = u64::from(reading.head.records);
            // FAIL CLOSED: a segment that is followed by another record than its index says is read.
            let fits = next == Some(first + records);
            Some((records, pieces::of(reading, &mut self.sieve)?)).filter(|_| fits)
        });
        match divided {
            Some((records, pieces)) => {
                self.reach.indexed += records;
                self.pieces = pieces;
            }
            None => self.scan(first, next),
        }
    }

    /// Reads all of a segment.
    fn scan(&mut self, first: u64, next: Option<u64>) {
        let mut reader = match Reader::of_segment(&self.directory, first) {
            Ok(reader) => reader,
            Err(error) => return self.ready.push_back(Err(error)),
        };
        for stored in reader.by_ref() {
            match stored {
                Ok(stored) => {
                    self.reach.scanned += 1;
                    if self.sieve.wants(&stored) {
                        self.ready.push_back(Ok(stored));
                    }
                }
                Err(error) => self.ready.push_back(Err(error)),
            }
        }
        if let Some(found) = next.filter(|next| *next != reader.next_index()) {
            let (segment, expected) = (segment::path(&self.directory, found), reader.next_index());
            self.ready.push_back(Err(ReadError::Missing { segment, expected, found }));
        }
    }
}

impl Iterator for Matches {
    type Item = Result<Stored, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = self.sieve.query.order;
        loop {
            if self.left == 0 {
                return None;
            }
            if let Some(ready) = Self::next_in_order(&mut self.ready, order) {
                self.left -= usize::from(ready.is_ok());
                return Some(ready);
            }
            if let Some(piece) = Self::next_in_order(&mut self.pieces, order) {
                let read = piece.read();
                self.reach.read += read.len() as u64;
                let (sieve, ready) = (&mut self.sieve, &mut self.ready);
                ready.extend(
                    read.into_iter().filter(|stored| stored.as_ref().map_or(true, |stored| sieve.wants(stored))),
                );
                continue;
            }
            let (first, next) = Self::next_in_order(&mut self.places, order)?;
            self.divide(first, next);
        }
    }
}
