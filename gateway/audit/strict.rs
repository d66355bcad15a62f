use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::journal::Unavailable;
use crate::lane::local::Position;

/// Who waits until a decision is on disk. Only requests on strict routes come here, so the lock is not on the way of the
/// others; it is held for a push, or while the list is swept after a sync.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Vec<Waiter>>);

#[derive(Debug)]
struct Waiter {
    position: Position,
    tell: oneshot::Sender<Result<(), Unavailable>>,
}

impl Waiters {
    pub(crate) fn wait(&self, position: Position) -> oneshot::Receiver<Result<(), Unavailable>> {
        let (tell, told) = oneshot::channel();
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.push(Waiter { position, tell });
        told
    }

    /// Tells everybody whose lane is on disk up to where they stand. One who left keeps the record.
    pub(crate) fn settle(&self, committed: impl Fn(u16) -> u64) {
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = |waiter: &mut Waiter| committed(waiter.position.lane) >= waiter.position.end;
        for waiter in waiters.extract_if(.., reached) {
            let _gone = waiter.tell.send(Ok(()));
        }
    }

    /// FAIL CLOSED: tells everybody that their decision is not on disk, and may never be.
    pub(crate) fn fail(&self, why: Unavailable) {
        for waiter in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _gone = waiter.tell.send(Err(why));
        }
    }
}
