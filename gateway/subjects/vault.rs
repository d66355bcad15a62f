use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrets::{Purpose, Secret, derive};
use terms::{Surrogate, TenantId};

use crate::files::{self, Made, RootError, Seen};
use crate::key::{Key, Unsealable};
use crate::sqlite::Sqlite;
use crate::{
    Destroyed, Event, Fields, Hold, Mark, Order, Person, Persona, Print, Shelf, ShelfError, SubjectRow, TenantRow,
};

/// The vault, with the keys to it.
#[derive(Debug)]
pub struct SubjectVault {
    shelf: Box<dyn Shelf>,
    folder: PathBuf,
    root: Root,
    fields: Fields,
    id: [u8; 16],
    /// Keys of tenants, unwrapped, with what each is called.
    tenants: HashMap<TenantId, ([u8; 16], Key)>,
}

/// What comes of the root.
#[derive(Debug)]
struct Root {
    /// What keys of tenants are wrapped with.
    wraps: Key,
    /// What persons are looked for with.
    finds: hmac::Key,
}

/// How a vault is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Making {
    /// By a command: it must be there, since what a command makes would be another user's.
    No,
    /// By a command that mends one which was set back.
    SetBack,
    /// By the gateway: it is made at the first start.
    Yes,
}

/// Why the vault cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A row does not open.
    #[error("the subject vault holds a key that does not open: {0}")]
    Damaged(Surrogate, #[source] Unsealable),
    /// A file beside the vault cannot be used.
    #[error("`{}` cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// It is another vault than before.
    #[error(
        "`{}` is not the vault that was made with this state folder: put that back, or remove `{}` if this one is to be used, which does not know whom the log speaks of",
        .0.display(), .1.display()
    )]
    Foreign(PathBuf, PathBuf),
    /// It was there, and is not any more.
    #[error(
        "`{}` is gone, and with it whom the log speaks of: put it back from a backup, or remove `{}` to begin with an empty one, which erases everybody in the log for good",
        .0.display(), .1.display()
    )]
    Gone(PathBuf, PathBuf),
    /// There has never been one.
    #[error("`{}` is not there: the gateway that makes it has never started with this state folder", .0.display())]
    Missing(PathBuf),
    /// There is no root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Cryptography failed.
    #[error("nothing can be sealed for the subject vault")]
    Sealing(#[from] Unsealable),
    /// It is as it was before somebody was erased.
    #[error(
        "`{}` was set back: something was destroyed in it {destroyed} times, and {known} times by what `{}` says. Whoever was erased since is in it again: take a later backup, or run `cloister privacy mend`, which erases again whom the log says was erased", .path.display(), .seen.display()
    )]
    SetBack {
        /// The vault.
        path: PathBuf,
        /// What knows better.
        seen: PathBuf,
        /// As the vault says.
        destroyed: u64,
        /// As it was known.
        known: u64,
    },
    /// What keeps the rows says so.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The tenant's keys come and go.
    #[error("the tenant's key was destroyed again and again while one was made with it")]
    Unsettled,
    /// The root does not open it.
    #[error("the root does not open `{}`: it was made with another one, which must be given as `audit.privacy.root`", .0.display())]
    WrongRoot(PathBuf),
}

impl SubjectVault {
    /// Opens the vault in this folder, by the root of the settings or the one that lies beside it.
    ///
    /// # Errors
    /// It is gone, damaged, was set back or belongs to another root, and is left as it is.
    pub fn open(
        folder: &Path,
        root: Option<&Secret<Vec<u8>>>,
        fields: Fields,
        making: Making,
    ) -> Result<Self, VaultError> {
        let (path, seen_at) = (folder.join("subjects.db"), Seen::path(folder));
        if making == Making::Yes {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| VaultError::File(folder.to_owned(), error))?;
        }
        let seen = Seen::read(folder).map_err(|error| VaultError::File(seen_at.clone(), error))?;
        let is_there = path.try_exists().map_err(|error| VaultError::File(path.clone(), error))?;
        match (is_there, seen, making) {
            (false, Some(_), _) => return Err(VaultError::Gone(path, seen_at)),
            (false, None, Making::No | Making::SetBack) => return Err(VaultError::Missing(path)),
            (false, None, Making::Yes) | (true, _, _) => {}
        }
        let root = match root {
            Some(given) => Root::of(given),
            None => Root::of(&files::root(folder, if is_there { Made::Before } else { Made::Now })?),
        }?;
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| Unsealable)?;
        let fresh = Mark { id, check: root.wraps.seal(b"cloister", &id)?, destroyed: 0 };
        let mut shelf: Box<dyn Shelf> = Box::new(Sqlite::open(path.clone())?);
        let mark = shelf.mark(&fresh)?;
        if root.wraps.open(&mark.check, &mark.id).is_err() {
            return Err(VaultError::WrongRoot(path));
        }
        match seen {
            Some(seen) if seen.id != mark.id => return Err(VaultError::Foreign(path, seen_at)),
            Some(seen) if seen.destroyed > mark.destroyed && making != Making::SetBack => {
                let (destroyed, known) = (mark.destroyed, seen.destroyed);
                return Err(VaultError::SetBack { path, seen: seen_at, destroyed, known });
            }
            Some(_) | None => {}
        }
        let this = Self { shelf, folder: folder.to_owned(), root, fields, id: mark.id, tenants: HashMap::new() };
        if seen.is_none_or(|seen| seen.destroyed < mark.destroyed) {
            this.is_seen(mark.destroyed)?;
        }
        Ok(this)
    }

    /// Keeps outside of the vault how often something was destroyed in it.
    ///
    /// # Errors
    /// It cannot be written: a vault that is set back might not be found out.
    pub fn is_seen(&self, destroyed: u64) -> Result<(), VaultError> {
        let seen = Seen { id: self.id, destroyed };
        seen.write(&self.folder).map_err(|error| VaultError::File(Seen::path(&self.folder), error))
    }

    /// What the log has of these persons; it gets it now, where it has nothing yet. On disk when this returns.
    ///
    /// # Errors
    /// The vault cannot be used. A row that does not open is an error for its person alone.
    pub fn personas(
        &mut self,
        wanted: &[Person<'_>],
        now: u64,
    ) -> Result<Vec<Result<Persona, VaultError>>, VaultError> {
        let prints: Vec<_> = wanted.iter().map(|person| self.root.print(*person)).collect();
        let mut rows = self.shelf.find(&prints)?;
        // A tenant's key may be destroyed just when one is made with it. Not again and again.
        for _ in 0..3 {
            let mut fresh = Vec::new();
            for ((person, print), row) in wanted.iter().zip(&prints).zip(&rows) {
                if row.is_none() {
                    fresh.push(self.fresh(*person, *print, now)?);
                }
            }
            if fresh.is_empty() {
                break;
            }
            let mut put = self.shelf.put(&fresh)?.into_iter();
            for row in rows.iter_mut().filter(|row| row.is_none()) {
                *row = put.next().flatten();
            }
            if rows.iter().any(Option::is_none) {
                self.tenants.clear();
            }
        }
        let open = |row: Option<SubjectRow>| self.open_row(&row.ok_or(VaultError::Unsettled)?);
        Ok(rows.into_iter().map(open).collect())
    }

    /// What the log has of somebody, if it has anything.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn find(&mut self, person: Person<'_>) -> Result<Option<Persona>, VaultError> {
        let row = self.shelf.find(&[self.root.print(person)])?.into_iter().next().flatten();
        row.map(|row| self.open_row(&row)).transpose()
    }

    /// All tenants of which it has persons, or had some.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn tenants(&mut self) -> Result<Vec<TenantId>, VaultError> {
        Ok(self.shelf.tenants()?)
    }

    /// Destroys the key of somebody, unless a hold forbids it.
    ///
    /// # Errors
    /// Nothing was destroyed; or it was, and [`SubjectVault::scrub`] says what may be left.
    pub fn erase(&mut self, person: Person<'_>, order: &Order) -> Result<Destroyed, VaultError> {
        let destroyed = self.shelf.erase(person.tenant, self.root.print(person), order)?;
        self.after(&destroyed)?;
        Ok(destroyed)
    }

    /// Destroys the key of a tenant, unless a hold forbids it.
    ///
    /// # Errors
    /// As [`SubjectVault::erase`].
    pub fn off_board(&mut self, tenant: &TenantId, order: &Order) -> Result<Destroyed, VaultError> {
        let destroyed = self.shelf.off_board(tenant, order)?;
        self.after(&destroyed)?;
        Ok(destroyed)
    }

    /// Erases again whom the log says was erased: these persons, and of these tenants everybody who was there until then.
    /// Answers how many were there. From now on the vault is one that has destroyed all that was known to be destroyed.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn mend(
        &mut self,
        persons: &[Surrogate],
        tenants: &[(TenantId, u64)],
        order: &Order,
    ) -> Result<u64, VaultError> {
        let seen_at = Seen::path(&self.folder);
        let seen = Seen::read(&self.folder).map_err(|error| VaultError::File(seen_at, error))?;
        let known = seen.map_or(0, |seen| seen.destroyed);
        let erased = self.shelf.mend(persons, tenants, known, order)?;
        self.forget();
        let destroyed = self.shelf.destroyed()?;
        self.is_seen(destroyed)?;
        Ok(erased)
    }

    fn after(&mut self, destroyed: &Destroyed) -> Result<(), VaultError> {
        if matches!(destroyed, Destroyed::One(_) | Destroyed::Tenant(_)) {
            self.forget();
            let destroyed = self.shelf.destroyed()?;
            self.is_seen(destroyed)?;
        }
        Ok(())
    }

    /// Leaves nothing behind of what was destroyed.
    ///
    /// # Errors
    /// Something may still lie in the files of the vault, and this is to be done again.
    pub fn scrub(&mut self) -> Result<(), VaultError> {
        Ok(self.shelf.scrub()?)
    }

    /// Forgets the keys of tenants that it remembers.
    pub fn forget(&mut self) {
        self.tenants.clear();
    }

    /// Keeps somebody, or everybody in a tenant, from being erased.
    ///
    /// # Errors
    /// Nobody is.
    pub fn hold(&mut self, tenant: &TenantId, person: Option<Person<'_>>, order: &Order) -> Result<Hold, VaultError> {
        let print = person.map(|person| self.root.print(person));
        Ok(self.shelf.hold(tenant, print, order)?)
    }

    /// Takes a hold away; `None`: there is none of this name.
    ///
    /// # Errors
    /// It stays.
    pub fn release(&mut self, id: u64, order: &Order) -> Result<Option<Hold>, VaultError> {
        Ok(self.shelf.release(id, order)?)
    }

    /// All holds.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn holds(&mut self) -> Result<Vec<Hold>, VaultError> {
        Ok(self.shelf.holds()?)
    }

    /// Has the audit log learn of something.
    ///
    /// # Errors
    /// It will not.
    pub fn note(&mut self, event: &Event) -> Result<(), VaultError> {
        Ok(self.shelf.note(event)?)
    }

    /// Gives what is not in the audit log yet to somebody who puts it there. `false`: not all of it could be.
    ///
    /// # Errors
    /// What was put there is put there again.
    pub fn record(&mut self, mut put: impl FnMut(&Event) -> bool) -> Result<bool, VaultError> {
        Ok(self.shelf.record(&mut put)?)
    }

    /// How many times something was destroyed here.
    ///
    /// # Errors
    /// The vault cannot be used, or another one was put in its place.
    pub fn destroyed(&mut self) -> Result<u64, VaultError> {
        if !self.shelf.is_in_place() {
            // FAIL CLOSED: what is written into a file that nobody finds any more is lost.
            return Err(VaultError::Gone(self.folder.join("subjects.db"), Seen::path(&self.folder)));
        }
        Ok(self.shelf.destroyed()?)
    }

    /// How many persons it has.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn persons(&mut self) -> Result<u64, VaultError> {
        Ok(self.shelf.persons()?)
    }

    fn fresh(&mut self, person: Person<'_>, print: Print, now: u64) -> Result<SubjectRow, VaultError> {
        let (mut surrogate, mut key_id) = ([0; 12], [0; 6]);
        rand::fill(&mut surrogate).and_then(|()| rand::fill(&mut key_id)).map_err(|_| Unsealable)?;
        let (surrogate, key_id) = (Surrogate::from(surrogate), named(key_id));
        let key = Key::by_chance()?;
        let name = Secret::new([person.issuer.as_str(), "\0", person.subject.as_str()].concat());
        let identity = key.seal(name.expose().as_bytes(), &about("identity", &surrogate, &key_id))?;
        let (tenant_key, wraps) = self.tenant_key(person.tenant)?;
        let key = wraps.seal(key.expose(), &about("key", &surrogate, &key_id))?;
        let tenant = person.tenant.clone();
        Ok(SubjectRow { print, tenant, tenant_key, surrogate, key_id, key, identity, made: now })
    }

    /// The key of a tenant, which gets one if it has none.
    fn tenant_key(&mut self, tenant: &TenantId) -> Result<([u8; 16], &Key), VaultError> {
        if !self.tenants.contains_key(tenant) {
            let row = match self.shelf.tenant(tenant)? {
                Some(row) => row,
                None => {
                    let mut id = [0; 16];
                    rand::fill(&mut id).map_err(|_| Unsealable)?;
                    let key = Key::by_chance()?;
                    let key = self.root.wraps.seal(key.expose(), &about_tenant(tenant, &id))?;
                    self.shelf.put_tenant(&TenantRow { tenant: tenant.clone(), id, key })?
                }
            };
            let key = self.root.wraps.open(&row.key, &about_tenant(tenant, &row.id))?;
            self.tenants.insert(tenant.clone(), (row.id, Key::of(key.expose())?));
        }
        let (id, key) = self.tenants.get(tenant).ok_or(VaultError::Unsettled)?;
        Ok((*id, key))
    }

    fn open_row(&mut self, row: &SubjectRow) -> Result<Persona, VaultError> {
        if self.tenants.get(&row.tenant).is_some_and(|(id, _)| *id != row.tenant_key) {
            self.tenants.remove(&row.tenant); // it was destroyed, and there is another one
        }
        let fields = self.fields;
        let (_, wraps) = self.tenant_key(&row.tenant)?;
        let key = wraps
            .open(&row.key, &about("key", &row.surrogate, &row.key_id))
            .and_then(|key| Key::of(key.expose()))
            .map_err(|error| VaultError::Damaged(row.surrogate, error))?;
        Ok(Persona { surrogate: row.surrogate, key_id: row.key_id, key, fields })
    }
}

impl Root {
    fn of(secret: &Secret<Vec<u8>>) -> Result<Self, VaultError> {
        let wraps = derive(secret, Purpose::TenantKeys).ok_or(Unsealable)?;
        let finds = derive(secret, Purpose::SubjectNames).ok_or(Unsealable)?;
        Ok(Self { wraps: Key::of(wraps.expose())?, finds: hmac::Key::new(hmac::HMAC_SHA256, finds.expose()) })
    }

    fn print(&self, person: Person<'_>) -> Print {
        let mut context = hmac::Context::with_key(&self.finds);
        for part in [person.tenant.as_str(), "\0", person.issuer.as_str(), "\0", person.subject.as_str()] {
            context.update(part.as_bytes()); // none of them can have the zero between them
        }
        let mut print = [0; 32];
        print.copy_from_slice(context.sign().as_ref());
        Print(print)
    }
}

fn named(random: [u8; 6]) -> [u8; 8] {
    let mut text = [b'A'; 8];
    // It fits: 6 bytes are 8 characters.
    drop(URL_SAFE_NO_PAD.encode_slice(random, &mut text));
    text
}

fn about(what: &str, surrogate: &Surrogate, key_id: &[u8; 8]) -> Vec<u8> {
    [b"cloister/subject-", what.as_bytes(), b"/v1/", surrogate.as_bytes().as_slice(), key_id].concat()
}

fn about_tenant(tenant: &TenantId, id: &[u8; 16]) -> Vec<u8> {
    [b"cloister/tenant-key/v1/", id.as_slice(), tenant.as_str().as_bytes()].concat()
}
