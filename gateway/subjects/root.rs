use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrets::{Purpose, Secret, derive};
use terms::{Surrogate, TenantId};

use crate::key::{Key, Unsealable};
use crate::{HeldRow, Mark, Person, Print};

/// What comes of the root.
#[derive(Debug)]
pub(crate) struct Root {
    /// What keys of tenants are wrapped with.
    pub(crate) wraps: Key,
    /// What persons are looked for with.
    finds: hmac::Key,
    /// What says whom a hold is about is sealed with.
    holds: Key,
}

impl Root {
    pub(crate) fn of(secret: &Secret<Vec<u8>>) -> Result<Self, Unsealable> {
        let wraps = derive(secret, Purpose::TenantKeys).ok_or(Unsealable)?;
        let finds = derive(secret, Purpose::SubjectNames).ok_or(Unsealable)?;
        let holds = derive(secret, Purpose::HeldNames).ok_or(Unsealable)?;
        Ok(Self {
            wraps: Key::of(wraps.expose())?,
            finds: hmac::Key::new(hmac::HMAC_SHA256, finds.expose()),
            holds: Key::of(holds.expose())?,
        })
    }

    /// Whether it is the root of the vault with this mark.
    pub(crate) fn is_of(&self, mark: &Mark) -> bool {
        self.wraps.open(&mark.check, &mark.id).is_ok()
    }

    /// What marks a vault as one of this root.
    pub(crate) fn check(&self, id: &[u8; 16]) -> Result<Vec<u8>, Unsealable> {
        self.wraps.seal(b"cloister", id)
    }

    /// A person under a hold.
    pub(crate) fn held(&self, person: Person<'_>) -> Result<HeldRow, Unsealable> {
        self.held_by_name(person.tenant, person.issuer.as_str(), person.subject.as_str())
    }

    /// The same of what [`Root::names`] or a row has.
    pub(crate) fn held_by_name(&self, tenant: &TenantId, issuer: &str, subject: &str) -> Result<HeldRow, Unsealable> {
        let print = self.print_of(tenant.as_str(), issuer, subject);
        let name = Secret::new([issuer, "\0", subject].concat());
        let identity = self.holds.seal(name.expose().as_bytes(), &about_held(tenant, print))?;
        Ok(HeldRow { print, identity: Some(identity) })
    }

    /// Issuer and subject of a person under a hold.
    pub(crate) fn names(&self, tenant: &TenantId, row: &HeldRow) -> Result<Secret<Vec<u8>>, Unsealable> {
        let identity = row.identity.as_ref().ok_or(Unsealable)?;
        self.holds.open(identity, &about_held(tenant, row.print))
    }

    pub(crate) fn print(&self, person: Person<'_>) -> Print {
        self.print_of(person.tenant.as_str(), person.issuer.as_str(), person.subject.as_str())
    }

    pub(crate) fn print_of(&self, tenant: &str, issuer: &str, subject: &str) -> Print {
        let mut context = hmac::Context::with_key(&self.finds);
        for part in [tenant, "\0", issuer, "\0", subject] {
            context.update(part.as_bytes()); // none of them can have the zero between them
        }
        let mut print = [0; 32];
        print.copy_from_slice(context.sign().as_ref());
        Print(print)
    }
}

/// Issuer and subject, of what was sealed.
pub(crate) fn parted(name: &[u8]) -> Result<(&str, &str), Unsealable> {
    let name = std::str::from_utf8(name).map_err(|_| Unsealable)?;
    name.split_once('\0').ok_or(Unsealable)
}

fn about_held(tenant: &TenantId, print: Print) -> Vec<u8> {
    [b"cloister/held/v1/", print.0.as_slice(), tenant.as_str().as_bytes()].concat()
}

pub(crate) fn named(random: [u8; 6]) -> [u8; 8] {
    let mut text = [b'A'; 8];
    // It fits: 6 bytes are 8 characters.
    drop(URL_SAFE_NO_PAD.encode_slice(random, &mut text));
    text
}

pub(crate) fn about(what: &str, surrogate: &Surrogate, key_id: &[u8; 8]) -> Vec<u8> {
    [b"cloister/subject-", what.as_bytes(), b"/v1/", surrogate.as_bytes().as_slice(), key_id].concat()
}

pub(crate) fn about_tenant(tenant: &TenantId, id: &[u8; 16]) -> Vec<u8> {
    [b"cloister/tenant-key/v1/", id.as_slice(), tenant.as_str().as_bytes()].concat()
}
