use std::sync::Arc;

use futures::TryStreamExt as _;
use terms::RoleName;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::directory::Question;
use crate::fault::Fault;
use crate::memory::Answer;
use crate::settings::{Memberships, Subjects};

/// The query for memberships, prepared and checked on one connection.
pub(crate) struct Prepared {
    statement: Statement,
    column: Column,
    asks_issuer: bool,
}

/// What the one column is.
#[derive(Clone, Copy, Debug)]
enum Column {
    Role,
    Roles,
}

/// How many roles one member has at most. More are none that somebody gave.
const MOST_ROLES: usize = 64;

/// What the query is called where something is wrong with it.
const WHAT: &str = "directory.postgresql.memberships";

impl Prepared {
    /// Prepares the query and tries it, so that what is wrong with it is known before anybody depends on it.
    pub(crate) async fn on(client: &Client, settings: &Memberships) -> Result<Self, Fault> {
        let statement = client.prepare(&settings.query).await.map_err(|error| Fault::unprepared(WHAT, &error))?;
        let unfit = |why: String| Fault::Unfit { what: WHAT, why };
        for (place, parameter) in statement.params().iter().enumerate() {
            if !<&str as ToSql>::accepts(parameter) {
                let place = place + 1;
                return Err(unfit(format!("${place} is of type {parameter}: write ${place}::text::{parameter}")));
            }
        }
        let asks_issuer = match (statement.params().len(), settings.subjects) {
            (2, Subjects::OfOneIssuer) => false,
            (3, _) => true,
            (2, Subjects::OfSeveralIssuers) => {
                let why = "several issuers have their members there, and a subject is unique only within its issuer: ask for \
                           the issuer, too ($3)";
                return Err(unfit(why.into()));
            }
            (count, _) => {
                let why = "it takes a tenant ($1) and a subject ($2), and perhaps an issuer ($3)";
                return Err(unfit(format!("{count} parameters: {why}")));
            }
        };
        let column = match statement.columns() {
            [role] if <&str as FromSql>::accepts(role.type_()) => Column::Role,
            [roles] if [Type::TEXT_ARRAY, Type::VARCHAR_ARRAY, Type::NAME_ARRAY].contains(roles.type_()) => {
                Column::Roles
            }
            [other] => {
                let why = "the role of a row is text, or its roles are text[]; add ::text";
                return Err(unfit(format!("column `{}` is of type {}: {why}", other.name(), other.type_())));
            }
            columns => return Err(unfit(format!("{} columns: a row has one, the role", columns.len()))),
        };
        let prepared = Self { statement, column, asks_issuer };
        prepared.try_out(client).await?;
        Ok(prepared)
    }

    /// Nobody has no name, and belongs to no tenant without one. This also shows whether the role may read what is asked.
    async fn try_out(&self, client: &Client) -> Result<(), Fault> {
        match self.ask(client, ["", "", ""]).await {
            Ok(Answer::Stranger) => Ok(()),
            Ok(Answer::Member(_) | Answer::Unreadable) => {
                let why =
                    "it knows somebody without a name in a tenant without a name: it does not look at $1 and $2".into();
                Err(Fault::Unfit { what: WHAT, why })
            }
            Err(fault) if fault.is_of_the_values() => Ok(()),
            Err(Fault::Query(code)) => {
                let why = format!("it fails with SQLSTATE {}: may its user read what it reads?", code.code());
                Err(Fault::Unfit { what: WHAT, why })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Asks for the roles of a subject.
    pub(crate) async fn roles(&self, client: &Client, question: Question<'_>) -> Result<Answer, Fault> {
        let Question { issuer, tenant, subject } = question;
        match self.ask(client, [tenant.as_str(), subject.as_str(), issuer.as_str()]).await {
            // What this database could not even look for is nobody's name. Were it a failure, one issuer's odd subjects would
            // close it to everybody.
            Err(fault) if fault.is_of_the_values() => Ok(Answer::Stranger),
            answer => answer,
        }
    }

    async fn ask(&self, client: &Client, [tenant, subject, issuer]: [&str; 3]) -> Result<Answer, Fault> {
        let all: [&(dyn ToSql + Sync); 3] = [&tenant, &subject, &issuer];
        let asked = all.iter().take(if self.asks_issuer { 3 } else { 2 }).copied();
        let failed = |error| Fault::of(&error);
        let rows = client.query_raw(&self.statement, asked.collect::<Vec<_>>()).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        let mut roles: Option<Vec<RoleName>> = None;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let Some(read) = self.read(&row) else { return Ok(Answer::Unreadable) };
            // A row without a role says nothing: an outer join has one for everybody.
            let Some(read) = read else { continue };
            let roles = roles.get_or_insert_default();
            for role in read {
                if !roles.contains(&role) {
                    roles.push(role);
                }
            }
            if roles.len() > MOST_ROLES {
                return Ok(Answer::Unreadable);
            }
        }
        Ok(roles.map_or(Answer::Stranger, |roles| Answer::Member(Arc::from(roles))))
    }

    /// The roles of a row; none in it, if it is NULL. `None`: something that is no role. It might be one that denies something,
    /// misspelt, so it is not left out.
    fn read(&self, row: &Row) -> Option<Option<Vec<RoleName>>> {
        let texts: Option<Vec<Option<&str>>> = match self.column {
            Column::Role => row.try_get::<_, Option<&str>>(0).ok()?.map(|role| vec![Some(role)]),
            Column::Roles => row.try_get(0).ok()?,
        };
        let Some(texts) = texts else { return Some(None) };
        let roles: Option<Vec<RoleName>> = texts.into_iter().map(|role| role?.parse().ok()).collect();
        roles.map(Some)
    }
}
