use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use crate::method::Methods;

/// Which hosts a route is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HostPattern {
    Any,
    Exact(Arc<str>),
    /// One label, which names the tenant, then a dot and this.
    Tenant(Arc<str>),
}

/// Which paths a route is for. Paths are matched decoded: `/%40me` and `/@me` are one resource to a backend, so they are
/// one to a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PathPattern {
    pub(crate) segments: Vec<Segment>,
    /// Whether anything may follow the segments, also nothing.
    pub(crate) rest: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Segment {
    /// Exactly this. An empty one stands last: a slash at the end means something.
    Literal(Arc<str>),
    /// Any one segment that is not empty.
    Parameter(Arc<str>),
}

/// Everything that a route matches on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) host: HostPattern,
    pub(crate) path: PathPattern,
    /// `None`: every method.
    pub(crate) methods: Option<Methods>,
}

/// How closely a pattern describes what it matches; more is closer. Of two patterns that match one request the first
/// difference decides: the host, then each segment from the left, then whether methods are listed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Specificity {
    host: u8,
    path: Vec<u8>,
    methods: bool,
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidPattern {
    #[error("a path has at most 32 segments")]
    Deep,
    #[error("a path has no `.` and no `..`: such requests never get as far as a route")]
    Dots,
    #[error("a path has no empty segment: such requests never get as far as a route")]
    Empty,
    #[error("a path is written as a backend reads it, without escapes: the character itself in place of `%`")]
    Escape,
    #[error("a host is written `api.example.com`, `{{tenant}}.example.com` or `*`, in lower case and without a port")]
    Host,
    #[error("a parameter is a whole segment: `{{name}}`, in lower-case letters, digits and `_`")]
    Parameter,
    #[error("two parameters have the same name")]
    Repeated,
    #[error("`*` does not stand in a path: `{{name}}` is one segment, `/**` at the end is everything below")]
    Star,
    #[error("a path starts with `/`")]
    Start,
    #[error("a path has no `?`, `#`, `;`, `\\`, control character or blank at an end of a segment")]
    Word,
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        match (text, text.strip_prefix("{tenant}.")) {
            ("*", _) => Ok(Self::Any),
            (_, Some(rest)) if is_name(rest) => Ok(Self::Tenant(rest.into())),
            (_, None) if is_name(text) || is_address(text) => Ok(Self::Exact(text.into())),
            _ => Err(InvalidPattern::Host),
        }
    }

    /// Matches; and if the pattern has a tenant, which.
    pub(crate) fn matches<'r>(&self, host: &'r str) -> Option<Option<&'r str>> {
        match self {
            Self::Any => Some(None),
            Self::Exact(name) => (**name == *host).then_some(None),
            Self::Tenant(rest) => host
                .split_once('.')
                .filter(|(label, tail)| !label.is_empty() && **tail == **rest)
                .map(|(label, _)| Some(label)),
        }
    }
}

/// Labels of letters, digits and hyphens, with single dots between them.
pub(crate) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// An IPv6 address in its brackets. One of version 4 looks like a name.
pub(crate) fn is_address(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.to_string() == text))
}

impl PathPattern {
    /// Which segment is called so.
    pub(crate) fn parameter(&self, name: &str) -> Option<usize> {
        self.segments.iter().position(|segment| matches!(segment, Segment::Parameter(known) if **known == *name))
    }

    /// The deepest pattern, and so the deepest recursion of a look-up.
    const DEEPEST: usize = 32;

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let (text, rest) = match text.strip_suffix("/**") {
            Some(text) => (text, true),
            None => (text, false),
        };
        if text.is_empty() && rest {
            return Ok(Self { segments: Vec::new(), rest });
        }
        let words: Vec<&str> = text.strip_prefix('/').ok_or(InvalidPattern::Start)?.split('/').collect();
        if words.len() > Self::DEEPEST {
            return Err(InvalidPattern::Deep);
        }
        let last = words.len() - 1;
        let mut segments = Vec::with_capacity(words.len());
        for (place, word) in words.into_iter().enumerate() {
            if word.is_empty() && (place != last || rest) {
                return Err(InvalidPattern::Empty);
            }
            let segment = Segment::parse(word)?;
            if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
                return Err(InvalidPattern::Repeated);
            }
            segments.push(segment);
        }
        Ok(Self { segments, rest })
    }

    /// Which segment is the parameter `{tenant}`, counted from 0.
    pub(crate) fn tenant(&self) -> Option<usize> {
        self.place("tenant")
    }

    /// Whether it has this parameter.
    pub(crate) fn has(&self, parameter: &str) -> bool {
        self.place(parameter).is_some()
    }

    /// Which segment is this parameter, counted from 0.
    pub(crate) fn place(&self, parameter: &str) -> Option<usize> {
        let is = |segment: &Segment| matches!(segment, Segment::Parameter(name) if **name == *parameter);
        self.segments.iter().position(is)
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut left = path.split('/');
        let all = self.segments.iter().all(|segment| match (segment, left.next()) {
            (_, None) => false,
            (Segment::Literal(word), Some(asked)) => **word == *asked,
            (Segment::Parameter(_), Some(asked)) => !asked.is_empty(),
        });
        all && (self.rest || left.next().is_none())
    }
}

impl Segment {
    fn parse(word: &str) -> Result<Self, InvalidPattern> {
        let name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.len() <= 32
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if word.contains(['{', '}']) {
            let inner = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
            return inner
                .filter(|inner| name(inner))
                .map(|inner| Self::Parameter(inner.into()))
                .ok_or(InvalidPattern::Parameter);
        }
        if word.contains('*') {
            return Err(InvalidPattern::Star);
        }
        if word == "." || word == ".." {
            return Err(InvalidPattern::Dots);
        }
        if word.contains('%') {
            return Err(InvalidPattern::Escape);
        }
        if word.contains(|c: char| c.is_control() || "?#;\\".contains(c)) || word.trim() != word {
            return Err(InvalidPattern::Word);
        }
        Ok(Self::Literal(word.into()))
    }
}

impl Pattern {
    pub(crate) fn specificity(&self) -> Specificity {
        let host = match self.host {
            HostPattern::Any => 0,
            HostPattern::Tenant(_) => 1,
            HostPattern::Exact(_) => 2,
        };
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 2,
            Segment::Parameter(_) => 1,
        };
        let end = if self.path.rest { 0 } else { 3 };
        Specificity {
            host,
            path: self.path.segments.iter().map(rank).chain([end]).collect(),
            methods: self.methods.is_some(),
        }
    }

    pub(crate) fn takes(&self, method: &str) -> bool {
        self.methods.is_none_or(|methods| methods.has(method))
    }

    /// Sorts the closest first.
    pub(crate) fn closest_first(&self) -> Reverse<Specificity> {
        Reverse(self.specificity())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Tenant(rest) => write!(f, "{{tenant}}.{rest}"),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(word) => write!(f, "/{word}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        f.write_str(if self.rest { "/**" } else { "" })
    }
}

mod region;
#[cfg(test)]
mod tests;
