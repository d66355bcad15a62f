use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand;
use directory::Server;
use secrets::Secret;
use terms::{Surrogate, TenantId};

use crate::files::{self, Alone, Seen};
use crate::key::{Key, Unsealable};
use crate::postgresql::Postgresql;
use crate::root::{about, about_tenant, named};
use crate::roots::{Roots, Source};
use crate::rotation::Rotation;
use crate::sqlite::Sqlite;
use crate::{
    Destroyed, Event, Fields, GivenRoots, Hold, LogName, Mark, Order, Person, Persona, Print, Scrubbed, Shelf,
    SubjectRow, TenantRow, VaultError,
};

/// The vault, with the keys to it.
#[derive(Debug)]
pub struct SubjectVault {
    shelf: Box<dyn Shelf>,
    folder: PathBuf,
    roots: Roots,
    fields: Fields,
    making: Making,
    /// Which one it is, once it was looked at.
    known: Option<Known>,
    /// Keys of tenants, unwrapped, with what each is called.
    tenants: HashMap<TenantId, ([u8; 16], Key)>,
}

/// What is known of a vault that was looked at.
#[derive(Clone, Debug)]
struct Known {
    seen: Seen,
    /// What the root has sealed that is in force.
    check: Vec<u8>,
}

/// What the rows are kept in.
#[derive(Clone, Debug)]
pub enum Keeping {
    /// `subjects.db` in the state folder.
    File,
    /// A PostgreSQL, which other gateways use as well.
    Postgresql(Arc<Server>),
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

impl SubjectVault {
    /// Opens the vault that goes with this state folder, by the root of the settings or the one that lies in the folder.
    ///
    /// # Errors
    /// It is gone, damaged, was set back or belongs to another root, and is left as it is.
    pub fn open(
        folder: &Path,
        keeping: &Keeping,
        given: GivenRoots<'_>,
        fields: Fields,
        making: Making,
    ) -> Result<Self, VaultError> {
        let mut this = Self::unseen(folder, keeping, given, fields, making)?;
        this.look()?;
        Ok(this)
    }

    /// The same, but a database need not be there yet: it is asked when the vault is looked at.
    ///
    /// # Errors
    /// As [`SubjectVault::open`], where that is known without asking.
    pub fn unseen(
        folder: &Path,
        keeping: &Keeping,
        given: GivenRoots<'_>,
        fields: Fields,
        making: Making,
    ) -> Result<Self, VaultError> {
        if making == Making::Yes {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| VaultError::File(folder.to_owned(), error))?;
        }
        let roots_are_given = given.root.is_some();
        if let Keeping::File = keeping {
            let (path, seen) = (folder.join("subjects.db"), seen(folder)?);
            let is_there = path.try_exists().map_err(|error| VaultError::File(path.clone(), error))?;
            let place = || format!("`{}`", path.display());
            match (is_there, seen, making) {
                (false, Some(_), _) => return Err(VaultError::Gone(place(), Seen::path(folder))),
                (false, None, Making::No | Making::SetBack) => return Err(VaultError::Missing(place())),
                // ORDER: before the file of rows, which would be taken for one that was made with a root.
                (false, None, Making::Yes) if !roots_are_given => files::make_root(folder)?,
                (false, None, Making::Yes) | (true, _, _) => {}
            }
        }
        let roots = Roots::of(given, folder)?;
        let shelf: Box<dyn Shelf> = match keeping {
            Keeping::File => Box::new(Sqlite::open(folder.join("subjects.db"))?),
            Keeping::Postgresql(server) => Box::new(Postgresql::new(Arc::clone(server))?),
        };
        let (folder, tenants) = (folder.to_owned(), HashMap::new());
        Ok(Self { shelf, folder, roots, fields, making, known: None, tenants })
    }

    /// Looks whether it is still the vault that it was, and answers how many times something was destroyed in it. To be asked
    /// before what is read is believed.
    ///
    /// # Errors
    /// It cannot be asked, is gone, is another one, or was set back.
    pub fn look(&mut self) -> Result<u64, VaultError> {
        let mark = match self.shelf.mark()? {
            Some(mark) => mark,
            None => self.begin()?,
        };
        if self.known.as_ref().is_none_or(|known| known.check != mark.check) {
            self.take_root(&mark)?;
        }
        let now = Seen { id: mark.id, destroyed: mark.destroyed };
        let known = match &self.known {
            Some(known) => known.seen,
            None => self.recognise(now)?,
        };
        let (place, seen) = (self.shelf.place(), Seen::path(&self.folder));
        if known.id != mark.id {
            return Err(VaultError::Foreign(place.to_owned(), seen));
        }
        if known.destroyed > mark.destroyed && self.making != Making::SetBack {
            let (place, destroyed, known) = (place.to_owned(), mark.destroyed, known.destroyed);
            return Err(VaultError::SetBack { place, seen, destroyed, known });
        }
        let destroyed = mark.destroyed.max(known.destroyed);
        self.known = Some(Known { seen: Seen { id: mark.id, destroyed }, check: mark.check });
        Ok(mark.destroyed)
    }

    /// Finds the root that is in force: another process may have rotated it.
    fn take_root(&mut self, mark: &Mark) -> Result<(), VaultError> {
        if !self.roots.take(mark) && self.roots.from == Source::Folder {
            self.roots = Roots::lying_in(&self.folder)?;
        }
        if !self.roots.take(mark) {
            return Err(VaultError::WrongRoot(self.shelf.place().to_owned()));
        }
        self.tenants.clear();
        if self.roots.from == Source::Folder && self.making != Making::SetBack {
            self.settle()?;
        }
        Ok(())
    }

    /// Ends what a rotation of the root in the folder has begun, if it was broken off after its rows were written.
    fn settle(&mut self) -> Result<(), VaultError> {
        let broken = |error| VaultError::File(self.folder.clone(), error);
        // Whoever rotates right now does it itself.
        let Some(alone) = Alone::of(&self.folder).map_err(broken)? else { return Ok(()) };
        // ORDER: read again, since nobody rotates from here on.
        let roots = Roots::lying_in(&self.folder)?;
        let mark = self.shelf.mark()?;
        if let (Some(next), Some(mark)) = (&roots.next, mark)
            && next.is_of(&mark)
        {
            files::settle(&self.folder, &alone).map_err(broken)?;
        }
        Ok(())
    }

    /// Puts another root in the place of the one that is in force: the next one of the settings, or one that is made now. Answers how
    /// many persons' keys were wrapped anew.
    ///
    /// # Errors
    /// The root is as it was; or the database did not say whether it is another one, and the next look finds out.
    pub fn rotate(&mut self, order: &Order) -> Result<u64, VaultError> {
        let broken = |folder: &Path, error| VaultError::File(folder.to_owned(), error);
        let alone = Alone::of(&self.folder).map_err(|error| broken(&self.folder, error))?;
        let alone = alone.ok_or_else(|| VaultError::Rotating(self.folder.clone()))?;
        self.look()?;
        let known = self.known.clone().ok_or(VaultError::Unsettled)?;
        let next = match (self.roots.from, self.roots.next.take()) {
            (Source::Folder, _) => crate::root::Root::of(&files::make_next_root(&self.folder, &alone)?)?,
            (Source::Settings, Some(next)) => next,
            (Source::Settings, None) => return Err(VaultError::NoNext),
        };
        let mut rotation = Rotation::new(known.seen.id, &self.roots.root, &next);
        let renewed = self.shelf.renew(&known.check, &mut rotation, order);
        let persons = match renewed {
            Ok(persons) => persons,
            Err(error) => {
                self.roots.next = Some(next);
                return Err(error.into());
            }
        };
        self.tenants.clear();
        self.roots.next = Some(std::mem::replace(&mut self.roots.root, next));
        self.known = None;
        if self.roots.from == Source::Folder {
            files::settle(&self.folder, &alone).map_err(|error| broken(&self.folder, error))?;
        }
        self.look()?;
        Ok(persons)
    }

    /// Makes a vault where there has never been one.
    fn begin(&mut self) -> Result<Mark, VaultError> {
        let place = self.shelf.place().to_owned();
        match (seen(&self.folder)?, &self.known, self.making) {
            (None, None, Making::Yes) => {}
            (None, None, Making::No | Making::SetBack) => return Err(VaultError::Missing(place)),
            (Some(_), _, _) | (_, Some(_), _) => return Err(VaultError::Gone(place, Seen::path(&self.folder))),
        }
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| Unsealable)?;
        let fresh = Mark { id, check: self.roots.root.check(&id)?, destroyed: 0 };
        Ok(self.shelf.begin(&fresh)?)
    }

    /// What is known of the vault, which is looked at for the first time.
    fn recognise(&self, now: Seen) -> Result<Seen, VaultError> {
        match seen(&self.folder)? {
            Some(seen) if seen.id != now.id || seen.destroyed >= now.destroyed => Ok(seen),
            Some(_) | None => {
                self.keep(now)?;
                Ok(now)
            }
        }
    }

    /// Keeps outside of the vault how often something was destroyed in it.
    ///
    /// # Errors
    /// It cannot be written: a vault that is set back might not be found out.
    pub fn is_seen(&self, destroyed: u64) -> Result<(), VaultError> {
        self.known.as_ref().map_or(Ok(()), |known| self.keep(Seen { destroyed, ..known.seen }))
    }

    fn keep(&self, now: Seen) -> Result<(), VaultError> {
        now.write(&self.folder).map_err(|error| VaultError::File(Seen::path(&self.folder), error))
    }

    /// No fewer were destroyed than others have seen.
    pub(crate) fn knows(&mut self, destroyed: u64) {
        if let Some(known) = &mut self.known {
            known.seen.destroyed = known.seen.destroyed.max(destroyed);
        }
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
        let mut tries = 0;
        loop {
            let rows = self.rows(wanted, now)?;
            let open = |(row, person): (Option<SubjectRow>, &Person<'_>)| {
                self.open_row(&row.ok_or(VaultError::Unsettled)?, *person)
            };
            let opened: Vec<_> = rows.into_iter().zip(wanted).map(open).collect();
            // A tenant's key may be destroyed just when one is made with it, or the root be rotated. Not again and again.
            let is_settled = !opened.iter().any(|opened| matches!(opened, Err(VaultError::Unsettled)));
            if is_settled || tries == 2 {
                return Ok(opened);
            }
            tries += 1;
            self.forget();
            self.look()?;
        }
    }

    /// The rows of these persons, made where there are none. `None`: keys are others by now, or damaged.
    fn rows(&mut self, wanted: &[Person<'_>], now: u64) -> Result<Vec<Option<SubjectRow>>, VaultError> {
        let prints: Vec<_> = wanted.iter().map(|person| self.roots.root.print(*person)).collect();
        let mut rows = self.shelf.find(&prints)?;
        let (mut places, mut fresh) = (Vec::new(), Vec::new());
        for (place, (person, print)) in wanted.iter().zip(&prints).enumerate() {
            if rows.get(place).is_some_and(Option::is_none)
                && let Some(row) = self.fresh(*person, *print, now)?
            {
                places.push(place);
                fresh.push(row);
            }
        }
        if !fresh.is_empty() {
            for (place, put) in places.into_iter().zip(self.shelf.put(&fresh)?) {
                if let Some(row) = rows.get_mut(place) {
                    *row = put;
                }
            }
        }
        Ok(rows)
    }

    /// What the log has of somebody, if it has anything.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn find(&mut self, person: Person<'_>) -> Result<Option<Persona>, VaultError> {
        let row = self.shelf.find(&[self.roots.root.print(person)])?.into_iter().next().flatten();
        row.map(|row| self.open_row(&row, person)).transpose()
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
        let check = self.known.as_ref().ok_or(VaultError::Unsettled)?.check.as_slice();
        let destroyed = self.shelf.erase(person.tenant, self.roots.root.print(person), check, order)?;
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
        let known = seen(&self.folder)?.map_or(0, |seen| seen.destroyed);
        let erased = self.shelf.mend(persons, tenants, known, order)?;
        self.forget();
        let destroyed = self.look()?;
        self.is_seen(destroyed)?;
        Ok(erased)
    }

    fn after(&mut self, destroyed: &Destroyed) -> Result<(), VaultError> {
        if matches!(destroyed, Destroyed::One(_) | Destroyed::Tenant(_)) {
            self.forget();
            let destroyed = self.look()?;
            self.is_seen(destroyed)?;
        }
        Ok(())
    }

    /// Leaves as little behind as it can of what was destroyed.
    ///
    /// # Errors
    /// More may still lie in the files of the vault than needs to, and this is to be done again.
    pub fn scrub(&mut self) -> Result<Scrubbed, VaultError> {
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
        let whom = person.map(|person| self.roots.root.held(person)).transpose()?;
        let check = self.known.as_ref().ok_or(VaultError::Unsettled)?.check.as_slice();
        Ok(self.shelf.hold(tenant, whom.as_ref(), check, order)?)
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

    /// Gives what is not in this audit log yet to somebody who puts it there. `false`: not all of it could be.
    ///
    /// # Errors
    /// What was put there is put there again.
    pub fn record(&mut self, log: LogName, mut put: impl FnMut(&Event) -> bool) -> Result<bool, VaultError> {
        Ok(self.shelf.record(log, &mut put)?)
    }

    /// How many events wait for an audit log.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn waiting(&mut self, log: LogName) -> Result<u64, VaultError> {
        Ok(self.shelf.waiting(log)?)
    }

    /// How many persons it has.
    ///
    /// # Errors
    /// The vault cannot be used.
    pub fn persons(&mut self) -> Result<u64, VaultError> {
        Ok(self.shelf.persons()?)
    }

    /// A row for somebody. `None`: the root is another one by now.
    fn fresh(&mut self, person: Person<'_>, print: Print, now: u64) -> Result<Option<SubjectRow>, VaultError> {
        let (mut surrogate, mut key_id) = ([0; 12], [0; 6]);
        rand::fill(&mut surrogate).and_then(|()| rand::fill(&mut key_id)).map_err(|_| Unsealable)?;
        let (surrogate, key_id) = (Surrogate::from(surrogate), named(key_id));
        let key = Key::by_chance()?;
        let identity = key.seal(name(person).expose().as_bytes(), &about("identity", &surrogate, &key_id))?;
        let Some((tenant_key, wraps)) = self.tenant_key(person.tenant)? else { return Ok(None) };
        let key = wraps.seal(key.expose(), &about("key", &surrogate, &key_id))?;
        let tenant = person.tenant.clone();
        Ok(Some(SubjectRow { print, tenant, tenant_key, surrogate, key_id, key, identity, made: now }))
    }

    /// The key of a tenant, which gets one if it has none. `None`: the root is another one by now.
    fn tenant_key(&mut self, tenant: &TenantId) -> Result<Option<([u8; 16], &Key)>, VaultError> {
        if !self.tenants.contains_key(tenant) {
            let row = match self.shelf.tenant(tenant)? {
                Some(row) => row,
                None => {
                    let mut id = [0; 16];
                    rand::fill(&mut id).map_err(|_| Unsealable)?;
                    let key = Key::by_chance()?;
                    let key = self.roots.root.wraps.seal(key.expose(), &about_tenant(tenant, &id))?;
                    let check = self.known.as_ref().ok_or(VaultError::Unsettled)?.check.as_slice();
                    let fresh = TenantRow { tenant: tenant.clone(), id, key };
                    let Some(row) = self.shelf.put_tenant(&fresh, check)? else { return Ok(None) };
                    row
                }
            };
            let key = self.roots.root.wraps.open(&row.key, &about_tenant(tenant, &row.id));
            // Perhaps the root was rotated since it was looked for; what is damaged stays so.
            let Ok(key) = key else { return Ok(None) };
            self.tenants.insert(tenant.clone(), (row.id, Key::of(key.expose())?));
        }
        Ok(self.tenants.get(tenant).map(|(id, key)| (*id, key)))
    }

    fn open_row(&mut self, row: &SubjectRow, person: Person<'_>) -> Result<Persona, VaultError> {
        if self.tenants.get(&row.tenant).is_some_and(|(id, _)| *id != row.tenant_key) {
            self.tenants.remove(&row.tenant); // it was destroyed, and there is another one
        }
        let fields = self.fields;
        let (_, wraps) = self.tenant_key(&row.tenant)?.ok_or(VaultError::Unsettled)?;
        let key = open_key(wraps, row)?;
        let damaged = |error| VaultError::Damaged(row.surrogate, error);
        let identity = key.open(&row.identity, &about("identity", &row.surrogate, &row.key_id)).map_err(damaged)?;
        // FAIL CLOSED: whoever can write rows could otherwise have one person's records go by the name of another.
        if row.tenant != *person.tenant || identity.expose() != name(person).expose().as_bytes() {
            return Err(damaged(Unsealable));
        }
        Ok(Persona { surrogate: row.surrogate, key_id: row.key_id, key, fields })
    }
}

/// The key of a person.
pub(crate) fn open_key(wraps: &Key, row: &SubjectRow) -> Result<Key, VaultError> {
    let key = wraps.open(&row.key, &about("key", &row.surrogate, &row.key_id));
    key.and_then(|key| Key::of(key.expose())).map_err(|error| VaultError::Damaged(row.surrogate, error))
}

/// Who it is, as it is sealed.
pub(crate) fn name(person: Person<'_>) -> Secret<String> {
    Secret::new([person.issuer.as_str(), "\0", person.subject.as_str()].concat())
}

fn seen(folder: &Path) -> Result<Option<Seen>, VaultError> {
    Seen::read(folder).map_err(|error| VaultError::File(Seen::path(folder), error))
}
