use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;
use terms::Live;

/// What is made of a secret, and made anew when the secret changes while the gateway runs.
///
/// Whoever needs the secret holds this and not its bytes. A glance is one atomic load; copies see the same value.
pub struct Kept<T>(Arc<Live<T>>);

impl<T> Kept<T> {
    /// The value as it is now, for a moment. Not to be held across an `.await`.
    pub fn glance(&self) -> Guard<Arc<T>> {
        self.0.glance()
    }

    /// Puts another value in place. What was made of the old secret is let go when its last user is done.
    pub(crate) fn replace(&self, next: T) {
        self.0.replace(next);
    }
}

/// One that never changes.
impl<T> From<T> for Kept<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(Live::new(value)))
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Shows that there is something, and nothing of it.
impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(***)")
    }
}
