use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// A value that is only ever replaced as a whole.
///
/// A request takes one snapshot when it arrives and uses it to its end: never half of one policy and half of the next.
#[derive(Debug)]
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    /// Starts with `first`.
    pub fn new(first: T) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// The value as it is now, to keep.
    pub fn snapshot(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// The value as it is now, for a moment: cheaper than [`Live::snapshot`], not to be held across an `.await`.
    pub fn glance(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// Puts `next` in place. The old value lives until its last request ends.
    pub fn replace(&self, next: T) {
        self.0.store(Arc::new(next));
    }
}
