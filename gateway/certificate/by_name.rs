use std::collections::HashMap;

/// Values by host name, where `*.a.test` stands for every name with one label more than `a.test` (RFC 9525 §6.3). A name
/// that is there itself comes before one with a star. Looked up in constant time, and nothing is allocated.
#[derive(Clone, Debug)]
pub struct ByName<T>(HashMap<Box<str>, T>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ByName<T> {
    /// What stands at this name, in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        let dot = name.find('.');
        if dot == Some(0) {
            return None; // no name begins so, and what stands for a star does
        }
        self.0.get(name).or_else(|| self.0.get(name.get(dot?..)?))
    }
}

impl<T: Default> ByName<T> {
    /// What stands at this name, which may begin with a star.
    pub fn entry(&mut self, name: &str) -> &mut T {
        self.0.entry(name.strip_prefix('*').unwrap_or(name).into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_before_a_star_and_a_star_is_one_label() {
        let mut names = ByName::<&str>::default();
        for name in ["*.a.test", "b.a.test", "c.test"] {
            *names.entry(name) = name;
        }
        for (asked, expected) in [
            ("b.a.test", Some("b.a.test")),
            ("x.a.test", Some("*.a.test")),
            ("x.b.a.test", None),
            ("a.test", None),
            (".a.test", None),
            ("c.test", Some("c.test")),
            ("x.c.test", None),
            ("*.a.test", Some("*.a.test")),
            ("test", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(names.get(asked), expected.as_ref(), "{asked}");
        }
    }
}
