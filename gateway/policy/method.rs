/// A set of the methods that a file may name (RFC 9110 §9.3; `TRACE` and `CONNECT` never get as far as a route).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Methods(u8);

/// The methods that a file may name. Any other method matches only what is written for all of them.
pub(crate) const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

impl Methods {
    pub(crate) const NONE: Self = Self(0);

    /// The place of a method in [`METHODS`].
    pub(crate) fn index(method: &str) -> Option<usize> {
        match method {
            "DELETE" => Some(0),
            "GET" => Some(1),
            "HEAD" => Some(2),
            "OPTIONS" => Some(3),
            "PATCH" => Some(4),
            "POST" => Some(5),
            "PUT" => Some(6),
            _ => None,
        }
    }

    pub(crate) fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }

    pub(crate) fn has(self, method: &str) -> bool {
        Self::index(method).is_some_and(|index| self.0 & (1 << index) != 0)
    }

    /// The methods that are in both.
    pub(crate) fn common(self, other: Self) -> impl Iterator<Item = &'static str> {
        METHODS.into_iter().filter(move |method| self.has(method) && other.has(method))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'static str> {
        self.common(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_at_its_place() {
        for (place, method) in METHODS.iter().enumerate() {
            assert_eq!(Methods::index(method), Some(place));
        }
        assert_eq!(Methods::index("BREW"), None);
    }
}
