//! What patterns have in common: which paths they both match, and whether one matches all that another does.

use crate::pattern::{HostPattern, PathPattern, Segment};

impl PathPattern {
    /// The paths that both match, as a pattern; nothing if there are none.
    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        let (long, short) = if self.segments.len() >= other.segments.len() { (self, other) } else { (other, self) };
        if long.segments.len() > short.segments.len() && !short.rest {
            return None;
        }
        let mut segments = Vec::with_capacity(long.segments.len());
        for (at, segment) in long.segments.iter().enumerate() {
            segments.push(match short.segments.get(at) {
                Some(also) => segment.meet(also)?,
                None => segment.clone(), // below the shorter one anything goes
            });
        }
        let rest = long.rest && short.rest;
        Some(Self { segments, rest })
    }

    /// Whether this matches every path that the other one does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let long_enough = other.segments.len() >= self.segments.len();
        let ends_alike = self.rest || !other.rest && other.segments.len() == self.segments.len();
        let each = self.segments.iter().zip(&other.segments).all(|(mine, theirs)| mine.covers(theirs));
        long_enough && ends_alike && each
    }

    /// Paths that it matches, in which every parameter is a word that no pattern has. What may follow is as deep as each of these.
    pub(crate) fn samples(&self, depths: &[usize]) -> Vec<String> {
        let path = |more: usize| {
            let word = |segment: &Segment| match segment {
                Segment::Literal(word) => word.to_string(),
                Segment::Parameter(name) => format!("~{name}"),
            };
            let more = (0..more).map(|_| "~".to_owned());
            let path: String = self.segments.iter().map(word).chain(more).map(|word| format!("/{word}")).collect();
            if path.is_empty() { "/".to_owned() } else { path }
        };
        if !self.rest {
            return vec![path(0)];
        }
        // A slash at the end is an empty segment, which no parameter matches.
        let both = |path: String| [format!("{}/", path.trim_end_matches('/')), path];
        depths.iter().flat_map(|more| both(path(*more))).collect()
    }
}

impl Segment {
    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) => (one == two).then(|| self.clone()),
            (Self::Literal(word), Self::Parameter(_)) | (Self::Parameter(_), Self::Literal(word)) => {
                (!word.is_empty()).then(|| Self::Literal(word.clone()))
            }
            (Self::Parameter(_), Self::Parameter(_)) => Some(self.clone()),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) => one == two,
            (Self::Parameter(_), Self::Literal(word)) => !word.is_empty(),
            (Self::Parameter(_), Self::Parameter(_)) => true,
            (Self::Literal(_), Self::Parameter(_)) => false,
        }
    }
}

impl HostPattern {
    /// A host that it matches.
    pub(crate) fn sample(&self) -> String {
        match self {
            Self::Any => "any-host.invalid".to_owned(),
            Self::Exact(name) => name.to_string(),
            Self::Tenant(rest) => format!("any-tenant.{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn what_two_patterns_have_in_common() {
        for (one, two, both) in [
            ("/a/b", "/a/b", Some("/a/b")),
            ("/a/b", "/a/{x}", Some("/a/b")),
            ("/a/{x}", "/{y}/b", Some("/a/b")),
            ("/a/{x}", "/a/{y}", Some("/a/{x}")),
            ("/a/**", "/a/b/**", Some("/a/b/**")),
            ("/a/**", "/a/b", Some("/a/b")),
            ("/a/**", "/a", Some("/a")),
            ("/**", "/a/{x}", Some("/a/{x}")),
            ("/a/", "/a/{x}", None),
            ("/a/", "/a/**", Some("/a/")),
            ("/a/b", "/a", None),
            ("/a/b", "/a/c", None),
        ] {
            let both = both.map(pattern);
            assert_eq!(pattern(one).meet(&pattern(two)), both, "{one} and {two}");
            assert_eq!(pattern(two).meet(&pattern(one)).is_some(), both.is_some(), "{two} and {one}");
        }
    }

    fn any_pattern() -> impl Strategy<Value = PathPattern> {
        let segment = prop_oneof![Just("a"), Just("b"), Just("{x}"), Just("{y}"), Just("{z}")];
        (proptest::collection::vec(segment, 0..4), any::<bool>(), any::<bool>()).prop_filter_map(
            "a name stands once",
            |(words, rest, slash)| {
                let mut text: String = words.iter().map(|word| format!("/{word}")).collect();
                text.push_str(if rest {
                    "/**"
                } else if slash || text.is_empty() {
                    "/"
                } else {
                    ""
                });
                PathPattern::parse(&text).ok()
            },
        )
    }

    fn any_path() -> impl Strategy<Value = String> {
        let word = prop_oneof![Just("a"), Just("b"), Just("c"), Just("")];
        proptest::collection::vec(word, 1..5)
            .prop_map(|words| words.iter().map(|word| format!("/{word}")).collect::<String>())
            .prop_filter("an empty segment stands last alone", |path| !path.contains("//"))
    }

    proptest! {
        #[test]
        fn the_meet_matches_what_both_match(one in any_pattern(), two in any_pattern(), path in any_path()) {
            let both = one.meet(&two).is_some_and(|both| both.matches(&path));
            prop_assert_eq!(both, one.matches(&path) && two.matches(&path));
        }

        #[test]
        fn what_covers_another_matches_all_of_it(one in any_pattern(), two in any_pattern(), path in any_path()) {
            prop_assert!(!one.covers(&two) || !two.matches(&path) || one.matches(&path));
        }

        #[test]
        fn samples_are_matched(one in any_pattern()) {
            for path in one.samples(&[0, 1, 3]) {
                prop_assert!(one.matches(&path), "{}", path);
            }
        }
    }
}
