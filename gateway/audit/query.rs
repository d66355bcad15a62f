use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use terms::{IssuerId, Reason, Subject, TenantId};

use crate::line::Line;
use crate::reader::{ReadError, Reader, Stored};
use crate::row::Row;
use crate::{Decision, LogKey, LogKeyError, Pseudonym};

/// Which final records are wanted. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Those that act for this tenant.
    pub tenant: Option<TenantId>,
    /// Those of this subject, of whichever issuer. Needs the log's key.
    pub subject: Option<Subject>,
    /// Those with this reason.
    pub reason: Option<Reason>,
    /// Those of this route.
    pub route: Option<String>,
    /// Those that were allowed, or denied.
    pub decision: Option<Decision>,
    /// Those that got this status.
    pub status: Option<u16>,
    /// Those that arrived at this time or later.
    pub from: Option<SystemTime>,
    /// Those that arrived before this time.
    pub to: Option<SystemTime>,
    /// At most so many.
    pub limit: Option<usize>,
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

impl Query {
    /// Looks through the log in this directory, which may be in use.
    ///
    /// # Errors
    /// When there is no log, or its key is needed and cannot be used. Damage comes as errors among the records: what is
    /// around it is still found.
    pub fn run(self, directory: &Path) -> Result<Matches, QueryError> {
        let key = match &self.subject {
            Some(_) => Some(LogKey::read(directory)?),
            None => None,
        };
        let bound = |at: Option<SystemTime>| {
            at.map(|at| {
                let mut line = Line::new();
                line.instant(at);
                line.as_bytes().to_vec()
            })
        };
        Ok(Matches {
            reader: Reader::open(directory)?,
            from: bound(self.from),
            to: bound(self.to),
            left: self.limit.unwrap_or(usize::MAX),
            query: self,
            key,
            pseudonyms: HashMap::new(),
        })
    }
}

/// The records that a [`Query`] asks for, in order.
#[derive(Debug)]
pub struct Matches {
    reader: Reader,
    query: Query,
    /// RFC 3339 in UTC with a fixed number of digits sorts as time does.
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    left: usize,
    key: Option<LogKey>,
    /// The wanted subject as each issuer's records say it: as many as the settings had issuers.
    pseudonyms: HashMap<String, Option<Pseudonym>>,
}

impl Matches {
    fn wants(&mut self, row: &Row<'_>) -> bool {
        let Query { tenant, subject: _, reason, route, decision, status, from: _, to: _, limit: _ } = &self.query;
        row.stage == Some("final")
            && tenant.as_ref().is_none_or(|tenant| row.tenant == Some(tenant.as_str()))
            && reason.is_none_or(|reason| row.reason == Some(reason.as_str()))
            && route.as_ref().is_none_or(|route| row.route == Some(route))
            && decision.is_none_or(|decision| row.decision == Some(decision.as_str()))
            && status.is_none_or(|status| row.status == Some(status))
            && self.from.as_ref().is_none_or(|from| row.time.as_bytes() >= from.as_slice())
            && self.to.as_ref().is_none_or(|to| row.time.as_bytes() < to.as_slice())
            && self.is_subject(row)
    }

    fn is_subject(&mut self, row: &Row<'_>) -> bool {
        let (Some(subject), Some(key)) = (&self.query.subject, &self.key) else {
            return true;
        };
        let (Some(sub), Some(issuer)) = (row.sub, row.iss) else {
            return false;
        };
        if !self.pseudonyms.contains_key(issuer) {
            let pseudonym = issuer.parse::<IssuerId>().ok();
            let pseudonym = pseudonym.map(|issuer| key.pseudonym(&issuer, subject));
            self.pseudonyms.insert(issuer.to_owned(), pseudonym);
        }
        let pseudonym = self.pseudonyms.get(issuer).and_then(Option::as_ref);
        pseudonym.is_some_and(|pseudonym| pseudonym.as_str() == sub)
    }
}

impl Iterator for Matches {
    type Item = Result<Stored, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            match self.reader.next()? {
                Ok(stored) => {
                    // What is no record is for `verify` to say; it is none that was asked for.
                    let wanted = stored.row().is_ok_and(|row| self.wants(&row));
                    if wanted {
                        self.left -= 1;
                        return Some(Ok(stored));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}
