use std::collections::HashMap;

use aws_lc_rs::rand;
use terms::TenantId;

use crate::key::{Key, Unsealable};
use crate::root::{Root, about, about_tenant, parted};
use crate::shelf::Renewal;
use crate::{HeldRow, SubjectRow, TenantRow};

/// Another root takes the place of one. Each tenant gets another key, each person's key is wrapped anew, and is found otherwise: so
/// the old root, with or without an old copy of the rows, opens nothing that is there from now on, and the new one opens nothing
/// in an old copy. The keys of persons stay, as the log has what is sealed with them.
pub(crate) struct Rotation<'a> {
    pub(crate) id: [u8; 16],
    pub(crate) old: &'a Root,
    pub(crate) new: &'a Root,
    /// Both keys of each tenant.
    tenants: HashMap<TenantId, Tenant>,
}

struct Tenant {
    old: ([u8; 16], Key),
    new: ([u8; 16], Key),
}

impl<'a> Rotation<'a> {
    pub(crate) fn new(id: [u8; 16], old: &'a Root, new: &'a Root) -> Self {
        Self { id, old, new, tenants: HashMap::new() }
    }
}

impl Renewal for Rotation<'_> {
    fn check(&mut self) -> Result<Vec<u8>, Unsealable> {
        self.new.check(&self.id)
    }

    fn tenant(&mut self, row: &TenantRow) -> Result<TenantRow, Unsealable> {
        let TenantRow { tenant, id: old_id, key } = row;
        let old = self.old.wraps.open(key, &about_tenant(tenant, old_id))?;
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| Unsealable)?;
        let new = Key::by_chance()?;
        let key = self.new.wraps.seal(new.expose(), &about_tenant(tenant, &id))?;
        let both = Tenant { old: (*old_id, Key::of(old.expose())?), new: (id, new) };
        self.tenants.insert(tenant.clone(), both);
        Ok(TenantRow { tenant: tenant.clone(), id, key })
    }

    fn held(&mut self, tenant: &TenantId, row: &HeldRow, subject: Option<&SubjectRow>) -> Result<HeldRow, Unsealable> {
        let name = match subject {
            Some(subject) => self.identity(subject)?,
            None => self.old.names(tenant, row)?,
        };
        let (issuer, subject) = parted(name.expose())?;
        self.new.held_by_name(tenant, issuer, subject)
    }

    fn subject(&mut self, row: &SubjectRow) -> Result<SubjectRow, Unsealable> {
        let name = self.identity(row)?;
        let (issuer, subject) = parted(name.expose())?;
        let tenant = self.tenants.get(&row.tenant).ok_or(Unsealable)?;
        let about = about("key", &row.surrogate, &row.key_id);
        let key = tenant.old.1.open(&row.key, &about)?;
        let (tenant_key, wraps) = &tenant.new;
        Ok(SubjectRow {
            print: self.new.print_of(row.tenant.as_str(), issuer, subject),
            tenant_key: *tenant_key,
            key: wraps.seal(key.expose(), &about)?,
            ..row.clone()
        })
    }
}

impl Rotation<'_> {
    /// Issuer and subject of a person, whose row is as it was.
    fn identity(&self, row: &SubjectRow) -> Result<secrets::Secret<Vec<u8>>, Unsealable> {
        let tenant = self.tenants.get(&row.tenant).filter(|tenant| tenant.old.0 == row.tenant_key).ok_or(Unsealable)?;
        let key = tenant.old.1.open(&row.key, &about("key", &row.surrogate, &row.key_id))?;
        Key::of(key.expose())?.open(&row.identity, &about("identity", &row.surrogate, &row.key_id))
    }
}
