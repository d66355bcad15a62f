use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Rules;
use crate::refusal::{Cause, Refusal};

/// How many requests are in progress, and how many may be. Zero is none.
#[derive(Debug)]
pub struct Rooms {
    all: usize,
    taken: AtomicUsize,
}

impl Rooms {
    /// Room for so many requests at once.
    #[must_use]
    pub const fn new(all: usize) -> Self {
        Self { all, taken: AtomicUsize::new(0) }
    }

    /// How many are in progress.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Proof that there was room for one more request. It is in progress until this is dropped. Only [`Room::take`] makes one.
#[derive(Debug)]
pub(crate) struct Room(Arc<Rooms>);

impl Room {
    /// Takes a room, before anything is spent on the request.
    pub(crate) fn take(rooms: &Arc<Rooms>, rules: &Arc<Rules>) -> Result<Self, Refusal> {
        let before = rooms.taken.fetch_add(1, Ordering::Relaxed);
        let room = Self(Arc::clone(rooms)); // gives it back, too, if it is one too many
        if before < rooms.all { Ok(room) } else { Err(Refusal::new(Cause::Overloaded, Arc::clone(rules))) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
