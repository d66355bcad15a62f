use std::io;

use tokio_postgres::error::SqlState;

/// Why the database does not say what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody is there.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Somebody is there, who does not let us in, or does not speak with us as demanded.
    #[error("{address} does not let us in")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        #[source]
        error: tokio_postgres::Error,
    },
    /// A standby, whose answers may be old and which sends no notices.
    #[error("{address} is a standby: name the primary, or all of them")]
    Standby {
        /// Where.
        address: String,
    },
    /// No answer in time.
    #[error("no answer in time")]
    Late,
    /// The connection is gone.
    #[error("the connection ended")]
    Ended,
    /// The query failed. What the database says of it may name a subject, so only the code is told.
    #[error("the query fails with SQLSTATE {}", .0.code())]
    Query(SqlState),
    /// The query cannot be what it should be.
    #[error("the query of `{what}` does not fit: {why}")]
    Unfit {
        /// Which of the queries.
        what: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Fault {
    /// A query that cannot be prepared, as the database says it. It has no values in it yet, and so names nobody.
    pub(crate) fn unprepared(what: &'static str, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::Unfit { what, why: format!("{} (SQLSTATE {})", said.message(), said.code().code()) },
            None => Self::of(error),
        }
    }

    /// What became of a query that was sent.
    #[must_use]
    pub fn of(error: &tokio_postgres::Error) -> Self {
        error.code().map_or(Self::Ended, |code| Self::Query(code.clone()))
    }

    /// A first reading of tenants that fails shows that its user may not read them.
    pub(crate) fn of_tenants(self) -> Self {
        if let Self::Query(code) = self {
            let why = format!("it fails with SQLSTATE {}: may its user read what it reads?", code.code());
            return Self::Unfit { what: "directory.postgresql.tenants", why };
        }
        self
    }

    /// Whether somebody has to put it right, so that waiting does not help.
    #[must_use]
    pub const fn is_of_the_settings(&self) -> bool {
        matches!(self, Self::Unfit { .. })
    }

    /// Whether the values that were asked with are at fault (class 22: not a number, not a UUID), and nothing else: the
    /// database is well, and knows nobody of that name.
    pub(crate) fn is_of_the_values(&self) -> bool {
        matches!(self, Self::Query(code) if code.code().starts_with("22"))
    }
}
