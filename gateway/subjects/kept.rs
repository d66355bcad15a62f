//! Rows as tables have them, whichever: what is in them is read where a vault is asked for, and not where rows are fetched.

use terms::{Surrogate, TenantId};

use crate::{Destroyed, Event, EventKind, Held, Hold, Order, Print, ShelfError, SubjectRow};

/// What came of a transaction that was to destroy something, before it is read.
pub(crate) enum Attempt {
    Held(KeptHold),
    Nothing,
    One(KeptSubject),
    Tenant(u64),
}

/// A row as its table has it.
pub(crate) struct KeptSubject {
    pub(crate) print: Vec<u8>,
    pub(crate) tenant: String,
    pub(crate) tenant_key: Vec<u8>,
    pub(crate) surrogate: String,
    pub(crate) key_id: String,
    pub(crate) key: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) made: i64,
}

impl Attempt {
    /// What came of a transaction that was to destroy something.
    pub(crate) fn destroyed(self, place: &str) -> Result<Destroyed, ShelfError> {
        Ok(match self {
            Self::Held(hold) => Destroyed::Held(hold.hold(place)?),
            Self::Nothing => Destroyed::Nothing,
            Self::One(row) => Destroyed::One(Box::new(row.subject(place)?)),
            Self::Tenant(count) => Destroyed::Tenant(count),
        })
    }
}

impl KeptSubject {
    pub(crate) fn subject(self, place: &str) -> Result<SubjectRow, ShelfError> {
        let Self { print, tenant, tenant_key, surrogate, key_id, key, identity, made } = self;
        Ok(SubjectRow {
            print: Print(print.try_into().map_err(|_| damaged(place, "print", UNREADABLE))?),
            tenant: tenant.parse().map_err(|_| damaged(place, "tenant", &tenant))?,
            tenant_key: tenant_key.try_into().map_err(|_| damaged(place, "tenant_key", UNREADABLE))?,
            surrogate: surrogate.parse().map_err(|_| damaged(place, "surrogate", &surrogate))?,
            key_id: key_id.as_bytes().try_into().map_err(|_| damaged(place, "key_id", &key_id))?,
            key,
            identity,
            made: made.cast_unsigned(),
        })
    }
}

/// A hold as its table has it.
pub(crate) struct KeptHold {
    pub(crate) id: i64,
    pub(crate) tenant: String,
    pub(crate) is_for_one: bool,
    pub(crate) surrogate: Option<String>,
    pub(crate) reason: String,
    pub(crate) who: String,
    pub(crate) made: i64,
}

impl KeptHold {
    /// One that was just made.
    pub(crate) fn fresh(
        id: i64,
        tenant: &TenantId,
        is_for_one: bool,
        surrogate: Option<String>,
        order: &Order,
    ) -> Self {
        Self {
            id,
            tenant: tenant.to_string(),
            is_for_one,
            surrogate,
            reason: order.reason.clone(),
            who: order.who.to_string(),
            made: order.done.cast_signed(),
        }
    }

    pub(crate) fn hold(self, place: &str) -> Result<Hold, ShelfError> {
        let whom = match (self.is_for_one, self.surrogate) {
            (false, _) => Held::All,
            (true, None) => Held::One(None),
            (true, Some(text)) => Held::One(Some(text.parse().map_err(|_| damaged(place, "surrogate", &text))?)),
        };
        Ok(Hold {
            id: self.id.cast_unsigned(),
            tenant: self.tenant.parse().map_err(|_| damaged(place, "tenant", &self.tenant))?,
            whom,
            reason: self.reason,
            who: self.who.parse().map_err(|_| damaged(place, "who", &self.who))?,
            made: self.made.cast_unsigned(),
        })
    }
}

/// An event as it goes into its table.
pub(crate) struct Fresh<'a> {
    pub(crate) kind: EventKind,
    pub(crate) tenant: &'a str,
    pub(crate) surrogate: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) count: Option<u64>,
    pub(crate) hold: Option<i64>,
    pub(crate) sha256: Option<&'a str>,
    pub(crate) order: &'a Order,
}

impl<'a> Fresh<'a> {
    pub(crate) const fn new(kind: EventKind, tenant: &'a str, order: &'a Order) -> Self {
        Self { kind, tenant, surrogate: None, key: None, count: None, hold: None, sha256: None, order }
    }

    pub(crate) fn of(event: &'a Event) -> Self {
        let Event { kind, tenant, surrogate, key, count, hold, sha256, order } = event;
        Self {
            kind: *kind,
            tenant: tenant.as_ref().map_or(NOBODYS, TenantId::as_str),
            surrogate: surrogate.as_ref().map(Surrogate::as_str),
            key: key.as_deref(),
            count: *count,
            hold: hold.map(u64::cast_signed),
            sha256: sha256.as_deref(),
            order,
        }
    }
}

/// An event as its table has it.
pub(crate) struct KeptEvent {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) tenant: String,
    pub(crate) surrogate: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) count: Option<i64>,
    pub(crate) hold: Option<i64>,
    pub(crate) sha256: Option<String>,
    pub(crate) reason: String,
    pub(crate) reference: Option<String>,
    pub(crate) who: String,
    pub(crate) done: i64,
}

impl KeptEvent {
    pub(crate) fn event(self, place: &str) -> Result<Event, ShelfError> {
        let damaged = |column, found: &str| damaged(place, column, found);
        let surrogate = self.surrogate.map(|text| text.parse().map_err(|_| damaged("surrogate", &text)));
        let tenant = Some(self.tenant).filter(|tenant| tenant != NOBODYS);
        let tenant = tenant.map(|text| text.parse().map_err(|_| damaged("tenant", &text)));
        Ok(Event {
            kind: EventKind::read(&self.kind).ok_or_else(|| damaged("kind", &self.kind))?,
            tenant: tenant.transpose()?,
            surrogate: surrogate.transpose()?,
            key: self.key,
            count: self.count.map(i64::cast_unsigned),
            hold: self.hold.map(i64::cast_unsigned),
            sha256: self.sha256,
            order: Order {
                reason: self.reason,
                reference: self.reference,
                who: self.who.parse().map_err(|_| damaged("who", &self.who))?,
                done: self.done.cast_unsigned(),
            },
        })
    }
}

/// In place of a tenant's name, where something is about none.
pub(crate) const NOBODYS: &str = "";

/// In place of bytes that are too many or too few.
const UNREADABLE: &str = "a key's name or hash of another length";

pub(crate) fn damaged(place: &str, column: &'static str, found: &str) -> ShelfError {
    ShelfError::Damaged(place.to_owned(), column, found.to_owned())
}
