use regex::Regex;
use terms::Networks;

use crate::moment::{Part, Zone};
use crate::value::Constant;

/// An expression whose types have been checked. Names are numbers by now.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Arithmetic(Operator, Box<(Self, Self)>),
    Choice(Box<(Self, Self, Self)>),
    Compare(Relation, Box<(Self, Self)>),
    Constant(Constant),
    Convert(Conversion, Box<Self>),
    /// Of a list the element at a place.
    Element(Box<(Self, Self)>),
    /// Of a map among the facts the text with a name.
    Entry(usize, Box<Self>),
    Fact(usize),
    HasEntry(usize, Box<Self>),
    HasFact(usize),
    /// Whether a list holds a value.
    In(Box<(Self, Self)>),
    List(Box<[Self]>),
    /// Over a list, with a variable for each element.
    Loop(Quantifier, usize, Box<(Self, Self)>),
    Matches(Box<Self>, Regex),
    Negative(Box<Self>),
    Network(Box<Self>, Networks),
    Not(Box<Self>),
    Part(Part, Box<Self>, Zone),
    Size(Box<Self>),
    Test(Test, Box<(Self, Self)>),
    Variable(usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Add,
    Divide,
    Multiply,
    Rest,
    Subtract,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relation {
    Above,
    AtLeast,
    AtMost,
    Below,
    Equal,
    Unequal,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Conversion {
    Duration,
    Int,
    Timestamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Test {
    Contains,
    EndsWith,
    StartsWith,
}

impl Operator {
    pub(crate) fn of(mark: &str) -> Option<Self> {
        Some(match mark {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Rest,
            _ => return None,
        })
    }
}

impl Relation {
    pub(crate) fn of(mark: &str) -> Option<Self> {
        Some(match mark {
            "<" => Self::Below,
            "<=" => Self::AtMost,
            ">" => Self::Above,
            ">=" => Self::AtLeast,
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            _ => return None,
        })
    }
}
