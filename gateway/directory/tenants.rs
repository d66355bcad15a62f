use std::collections::HashMap;

use futures::TryStreamExt as _;
use tenancy::TenantRow;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::fault::Fault;
use crate::settings::Tenants;

/// The query for tenants, prepared and checked on one connection.
pub(crate) struct Prepared {
    statement: Statement,
    places: HashMap<String, usize>,
}

/// How many tenants there may be. More are refused as a whole: of some nobody would know anything.
const MOST: usize = 1_000_000;

const WHAT: &str = "directory.postgresql.tenants";

const TEXTS: [&str; 8] = ["id", "status", "plan", "region", "time_zone", "retention", "session_max", "mfa"];
const LISTS: [&str; 5] = ["issuers", "clients_allow", "clients_deny", "mfa_amr", "mfa_acr"];

impl Prepared {
    pub(crate) async fn on(client: &Client, settings: &Tenants) -> Result<Self, Fault> {
        let statement = client.prepare(&settings.query).await.map_err(|error| Fault::unprepared(WHAT, &error))?;
        let unfit = |why: String| Fault::Unfit { what: WHAT, why };
        if !statement.params().is_empty() {
            return Err(unfit("it reads all tenants, so it takes no parameters".into()));
        }
        let mut places = HashMap::new();
        for (place, column) in statement.columns().iter().enumerate() {
            let (name, kind) = (column.name(), column.type_());
            let fits = if TEXTS.contains(&name) {
                <&str as FromSql>::accepts(kind)
            } else if LISTS.contains(&name) {
                [Type::TEXT_ARRAY, Type::VARCHAR_ARRAY, Type::NAME_ARRAY].contains(kind)
            } else {
                let all = [&TEXTS[..], &LISTS[..]].concat().join(", ");
                return Err(unfit(format!("a tenant has no `{name}`; it has {all}")));
            };
            if !fits {
                let wanted = if TEXTS.contains(&name) { "text" } else { "text[]" };
                return Err(unfit(format!("column `{name}` is of type {kind}: write {name}::{wanted} AS {name}")));
            }
            if places.insert(name.to_owned(), place).is_some() {
                return Err(unfit(format!("there are two columns `{name}`")));
            }
        }
        for needed in ["id", "status"] {
            if !places.contains_key(needed) {
                return Err(unfit(format!("there is no column `{needed}`")));
            }
        }
        Ok(Self { statement, places })
    }

    /// Reads all of them.
    pub(crate) async fn read(&self, client: &Client) -> Result<Vec<TenantRow>, Fault> {
        let failed = |error| Fault::of(&error);
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = client.query_raw(&self.statement, none).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if all.len() >= MOST {
                return Err(Fault::Unfit { what: WHAT, why: format!("there are more than {MOST} tenants") });
            }
            all.push(self.tenant(&row));
        }
        all.sort_by(|one: &TenantRow, other| one.id.cmp(&other.id)); // the order says nothing, and is not a change
        Ok(all)
    }

    /// A row as it is. What is missing in it, or cannot be read as its type says, is for the policy to refuse.
    fn tenant(&self, row: &Row) -> TenantRow {
        let place = |name: &str| self.places.get(name).copied();
        let text = |name: &str| place(name).and_then(|place| row.try_get::<_, Option<String>>(place).ok().flatten());
        let list = |name: &str| {
            let texts: Option<Vec<Option<String>>> = row.try_get(place(name)?).ok().flatten();
            // A NULL among them is nothing that could be meant.
            texts.map(|texts| texts.into_iter().map(Option::unwrap_or_default).collect())
        };
        TenantRow {
            id: text("id").unwrap_or_default(),
            status: text("status").unwrap_or_default(),
            plan: text("plan"),
            region: text("region"),
            time_zone: text("time_zone"),
            retention: text("retention"),
            issuers: list("issuers"),
            clients_allow: list("clients_allow"),
            clients_deny: list("clients_deny"),
            session_max: text("session_max"),
            mfa: text("mfa"),
            mfa_amr: list("mfa_amr"),
            mfa_acr: list("mfa_acr"),
        }
    }
}
