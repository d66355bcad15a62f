use std::fmt;

/// What a value is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Type {
    /// An address of IPv4 or IPv6.
    Address,
    /// True or false.
    Bool,
    /// A span of time.
    Duration,
    /// A whole number.
    Int,
    /// A list.
    List(Box<Self>),
    /// A text.
    Text,
    /// A moment.
    Timestamp,
}

/// The facts that expressions may speak of, each with its name and its number.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub(crate) facts: Vec<Declared>,
}

#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// `caller.subject`
    pub(crate) path: String,
    pub(crate) fact: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Texts by names that the expression writes out, whatever their case, and that may be asked for.
    Fields(fn(&str) -> Result<(), String>),
    /// Texts by name: these, or whatever there is.
    Map(Option<Vec<String>>),
    /// At most so many texts.
    Texts(usize),
    Value(Type),
}

impl Environment {
    /// The same, with one value more. One that is not there when it is asked for is a fault; `has(…)` asks whether it is.
    #[must_use]
    pub fn value(self, path: &str, fact: usize, of: Type) -> Self {
        self.with(path, fact, Kind::Value(of))
    }

    /// The same, with a list of at most so many texts.
    #[must_use]
    pub fn texts(self, path: &str, fact: usize, most: usize) -> Self {
        self.with(path, fact, Kind::Texts(most))
    }

    /// The same, with texts by name. Without `keys` any name may be asked for.
    #[must_use]
    pub fn map(self, path: &str, fact: usize, keys: Option<Vec<String>>) -> Self {
        self.with(path, fact, Kind::Map(keys))
    }

    /// The same, with texts by names like those of header fields: an expression writes them out, in either case, so that it is
    /// known beforehand what it looks at. `may` says why one may not be asked for.
    #[must_use]
    pub fn fields(self, path: &str, fact: usize, may: fn(&str) -> Result<(), String>) -> Self {
        self.with(path, fact, Kind::Fields(may))
    }

    fn with(mut self, path: &str, fact: usize, kind: Kind) -> Self {
        self.facts.push(Declared { path: path.to_owned(), fact, kind });
        self
    }

    pub(crate) fn find(&self, path: &str) -> Option<&Declared> {
        self.facts.iter().find(|declared| declared.path == path)
    }

    /// The names that may follow this one, or stand first.
    pub(crate) fn below<'e>(&'e self, path: &'e str) -> impl Iterator<Item = &'e str> {
        let inside = move |declared: &'e Declared| match path {
            "" => Some(declared.path.as_str()),
            path => declared.path.strip_prefix(path)?.strip_prefix('.'),
        };
        self.facts.iter().filter_map(inside).filter_map(|rest| rest.split('.').next())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("an address"),
            Self::Bool => f.write_str("true or false"),
            Self::Duration => f.write_str("a span of time"),
            Self::Int => f.write_str("a number"),
            Self::List(_) => f.write_str("a list"),
            Self::Text => f.write_str("a text"),
            Self::Timestamp => f.write_str("a time"),
        }
    }
}
