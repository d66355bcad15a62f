use std::path::Path;

use secrets::Secret;

use crate::root::Root;
use crate::{Mark, VaultError, files};

/// The roots that it may have.
#[derive(Debug)]
pub(crate) struct Roots {
    /// The one that is in force, as far as it is known.
    pub(crate) root: Root,
    /// The one that may be in its place by now.
    pub(crate) next: Option<Root>,
    pub(crate) from: Source,
}

/// Where roots come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Folder,
    Settings,
}

/// What the settings say of roots.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenRoots<'a> {
    /// What opens the vault; `None`: it lies in the state folder.
    pub root: Option<&'a Secret<Vec<u8>>>,
    /// What comes in its place, by now or later.
    pub next: Option<&'a Secret<Vec<u8>>>,
}

impl Roots {
    /// What the settings give, or what lies in the folder.
    pub(crate) fn of(given: GivenRoots<'_>, folder: &Path) -> Result<Self, VaultError> {
        let Some(root) = given.root else { return Self::lying_in(folder) };
        let next = given.next.map(Root::of).transpose()?;
        Ok(Self { root: Root::of(root)?, next, from: Source::Settings })
    }

    /// Those that lie in the folder.
    pub(crate) fn lying_in(folder: &Path) -> Result<Self, VaultError> {
        let files::Lying { root, next } = files::roots(folder)?;
        Ok(Self { root: Root::of(&root)?, next: next.as_ref().map(Root::of).transpose()?, from: Source::Folder })
    }

    /// Takes the one of this vault. Answers whether there is one.
    pub(crate) fn take(&mut self, mark: &Mark) -> bool {
        if self.root.is_of(mark) {
            return true;
        }
        let Some(next) = self.next.take_if(|next| next.is_of(mark)) else { return false };
        self.next = Some(std::mem::replace(&mut self.root, next));
        true
    }
}
