use std::fmt;

use zeroize::Zeroize;

/// A value that is not to be seen: overwritten when dropped, without `Clone`, `Display` or `Serialize`.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of a value. Copies that were made of it before are not known here.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place that a reviewer looks at.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<Vec<u8>> {
    /// The same value without the line end that editors and `echo` put after it.
    #[must_use]
    pub(crate) fn without_line_end(mut self) -> Self {
        if self.0.pop_if(|last| *last == b'\n').is_some() {
            self.0.pop_if(|last| *last == b'\r');
        }
        self
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Shows that there is a secret, and nothing of it: not even its length.
impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("correct horse".to_owned());
        for shown in [format!("{secret:?}"), format!("{secret:#?}"), format!("{:?}", Some(&secret))] {
            assert!(!shown.contains("correct") && shown.contains("***"), "{shown}");
        }
        assert_eq!(secret.expose(), "correct horse");
    }

    #[test]
    fn a_secret_is_overwritten_when_it_is_dropped() {
        struct Watched(Rc<Cell<bool>>);
        impl Zeroize for Watched {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }
        let overwritten = Rc::new(Cell::new(false));
        drop(Secret::new(Watched(Rc::clone(&overwritten))));
        assert!(overwritten.get());
    }
}
