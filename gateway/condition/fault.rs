/// Why an expression has no value. What decides by it denies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A fact or a key that is not there.
    #[error("something that it asks for is not there")]
    Absent,
    /// No element at this place of a list.
    #[error("the list has no element at this place")]
    Index,
    /// A number divided by nothing.
    #[error("division by zero")]
    Zero,
    /// A number, a time or a span that is too large.
    #[error("a number, a time or a span of time is out of range")]
    Range,
    /// Something that is there and cannot be taken for one value.
    #[error("something that it asks for is there more than once, or is not what it should be")]
    Unreadable,
    /// A text that is not what it was to be made into.
    #[error("a text does not say {0}")]
    Text(&'static str),
    /// Something of ours broke: the types of the expression were checked, and here they do not fit.
    #[error("the expression was compiled wrongly")]
    Broken,
}

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// How many bytes of the text stand before it.
    pub offset: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
