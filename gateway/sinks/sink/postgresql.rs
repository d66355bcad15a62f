//! Rows in a table to which only can be added: config/postgresql/audit.sql makes it.

use std::collections::BTreeSet;

use directory::{Fault, Server};
use futures::future::BoxFuture;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::batch::Batch;
use crate::sink::{Class, Delivery, Sink, SinkError};

/// What came already is left as it is: at least once becomes once.
const INSERT: &str = "INSERT INTO cloister_audit.records (log, index, time, leaf, tenant, event, record) \
    SELECT $1::text::uuid, index, timestamptz 'epoch' + millis * interval '1 millisecond', leaf, tenant, event, record::json \
    FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::text[]) \
    AS row (index, millis, leaf, tenant, event, record) ON CONFLICT DO NOTHING";
const PREPARE: &str = "SELECT cloister_audit.prepare(timestamptz 'epoch' + $1::bigint * interval '1 millisecond')";
const SESSION: &str = "SET statement_timeout = '60s'; SET synchronous_commit = on";

pub(crate) struct PostgresqlSink {
    pub(crate) server: std::sync::Arc<Server>,
    pub(crate) open: Option<Open>,
}

/// A connection, what carries it, and the months that have a partition.
pub(crate) struct Open {
    client: Client,
    carrier: BoxFuture<'static, ()>,
    months: BTreeSet<(i32, u8)>,
}

impl PostgresqlSink {
    async fn put(&mut self, batch: &Batch) -> Result<(), SinkError> {
        // A connection that was left alone may be gone.
        if let Some(open) = self.open.take() {
            match self.put_over(open, batch).await {
                Err(error) if error.class == Class::Unreachable => {}
                outcome => return outcome,
            }
        }
        let (client, carrier) = self.server.connect(SESSION).await.map_err(|fault| of_fault(&fault))?;
        self.put_over(Open { client, carrier, months: BTreeSet::new() }, batch).await
    }

    async fn put_over(&mut self, mut open: Open, batch: &Batch) -> Result<(), SinkError> {
        let Open { client, carrier, months } = &mut open;
        tokio::select! {
            biased;
            done = insert(client, months, batch) => done?,
            () = carrier => return Err(SinkError::new(Class::Unreachable, "the connection ended")),
        }
        self.open = Some(open);
        Ok(())
    }
}

async fn insert(client: &Client, months: &mut BTreeSet<(i32, u8)>, batch: &Batch) -> Result<(), SinkError> {
    let failed = |error: tokio_postgres::Error| of_query(&error);
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for item in &batch.items {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(item.millis) * 1_000_000);
        let month = time.map_or((0, 0), |time| (time.year(), u8::from(time.month())));
        if !months.contains(&month) {
            client.execute(PREPARE, &[&number(item.millis)]).await.map_err(failed)?;
            months.insert(month);
        }
    }
    let log = batch.log.to_string();
    let indexes: Vec<i64> = batch.items.iter().map(|item| number(item.index)).collect();
    let times: Vec<i64> = batch.items.iter().map(|item| number(item.millis)).collect();
    let leaves: Vec<&[u8]> = batch.items.iter().map(|item| item.leaf.as_bytes().as_slice()).collect();
    let tenants: Vec<Option<&str>> = batch.items.iter().map(|item| item.tenant.as_deref()).collect();
    let events: Vec<&str> = batch.items.iter().map(|item| item.event.as_str()).collect();
    let records: Vec<&str> = batch.items.iter().map(|item| item.text.as_str()).collect();
    let done = client.execute(INSERT, &[&log, &indexes, &times, &leaves, &tenants, &events, &records]).await;
    done.map(drop).map_err(failed)
}

fn of_query(error: &tokio_postgres::Error) -> SinkError {
    let Some(code) = error.code() else {
        return SinkError::of(Class::Unreachable, "the database", error);
    };
    // What it says besides may hold the record.
    let said = error.as_db_error().map_or("", |said| said.message());
    let said: String = said.chars().filter(|letter| !letter.is_control()).take(200).collect();
    SinkError::new(class(code), format!("the database says {said} (SQLSTATE {})", code.code()))
}

fn class(code: &SqlState) -> Class {
    match code.code().get(..2) {
        Some("22" | "23" | "54") => Class::Refused,
        Some("08") => Class::Unreachable,
        Some("28" | "3D" | "3F" | "42" | "P0") => Class::Denied,
        _ => Class::Busy,
    }
}

fn of_fault(fault: &Fault) -> SinkError {
    let class = match fault {
        Fault::Unreachable { .. } | Fault::Ended => Class::Unreachable,
        Fault::Late => Class::Late,
        Fault::Refused { .. } | Fault::Standby { .. } | Fault::Unfit { .. } => Class::Denied,
        Fault::Query(code) => class(code),
    };
    SinkError::new(class, terms::chain(fault))
}

impl Sink for PostgresqlSink {
    fn deliver<'a>(&'a mut self, batch: &'a Batch) -> Delivery<'a> {
        Box::pin(self.put(batch))
    }
}
