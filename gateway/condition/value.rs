use std::fmt;
use std::net::IpAddr;

use crate::code::Code;
use crate::moment;

/// What an expression works with. A copy points to the same text.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// An address of IPv4 or IPv6.
    Address(IpAddr),
    /// True or false.
    Bool(bool),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A whole number.
    Int(i64),
    /// A list.
    List(List<'a>),
    /// A text.
    Text(&'a str),
    /// A moment, in nanoseconds since the Unix epoch.
    Timestamp(i128),
}

/// A list, wherever its elements are.
#[derive(Clone, Copy, Debug)]
pub struct List<'a>(pub(crate) Elements<'a>);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Elements<'a> {
    /// Written in the expression, and worked out when they are asked for.
    Built(&'a [Code]),
    /// Written in the expression.
    Constants(&'a [Constant]),
    /// Given with the facts.
    Texts(&'a dyn Texts),
}

/// A list of texts that stands among the facts.
pub trait Texts: fmt::Debug {
    /// How many there are.
    fn count(&self) -> usize;

    /// One of them, counted from 0.
    fn text(&self, place: usize) -> Option<&str>;
}

impl Texts for Box<[Box<str>]> {
    fn count(&self) -> usize {
        self.len()
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.get(place).map(AsRef::as_ref)
    }
}

impl<'a> From<&'a dyn Texts> for Value<'a> {
    fn from(texts: &'a dyn Texts) -> Self {
        Self::List(List(Elements::Texts(texts)))
    }
}

/// A value that was written in an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Bool(bool),
    Duration(i64),
    Int(i64),
    List(Box<[Self]>),
    Text(Box<str>),
    Timestamp(i128),
}

impl Constant {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Duration(value) => Value::Duration(*value),
            Self::Int(value) => Value::Int(*value),
            Self::List(values) => Value::List(List(Elements::Constants(values))),
            Self::Text(value) => Value::Text(value),
            Self::Timestamp(value) => Value::Timestamp(*value),
        }
    }
}

/// As an expression would write it, for explanations.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Duration(nanoseconds) => f.write_str(&moment::shown_duration(*nanoseconds)),
            Self::Int(value) => value.fmt(f),
            Self::List(list) => list.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Timestamp(nanoseconds) => f.write_str(&moment::shown(*nanoseconds)),
        }
    }
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Elements::Built(codes) => write!(f, "a list of {}", codes.len()),
            Elements::Constants(constants) => {
                let shown: Vec<String> = constants.iter().map(|constant| constant.value().to_string()).collect();
                write!(f, "[{}]", shown.join(", "))
            }
            Elements::Texts(texts) => {
                let all = (0..texts.count()).filter_map(|place| texts.text(place));
                let shown: Vec<String> = all.map(|text| format!("{text:?}")).collect();
                write!(f, "[{}]", shown.join(", "))
            }
        }
    }
}
