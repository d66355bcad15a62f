use terms::Reason;

/// Why a head has not exactly one meaning. The first offence found is the one that is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// A field that may stand once stands twice.
    #[error("a field that may stand once stands more than once")]
    DuplicateField,
    /// A name outside `A-Z a-z 0-9 -`, a value with a control character, or a value that its field does not have.
    #[error("a field has a name or a value that it may not have")]
    Field,
    /// The head does not say clearly how long the body is.
    #[error("the head does not say clearly how long the body is")]
    Framing,
    /// More fields, or more bytes of fields, than are looked at.
    #[error("the head is larger than is looked at")]
    HeadTooLarge,
    /// Not exactly one host, or something that is not one.
    #[error("the head does not name exactly one host")]
    Host,
    /// An `Expect` of something else than `100-continue`.
    #[error("the expectation is not one that can be met")]
    Expectation,
    /// A method that is not forwarded.
    #[error("the method is not one that is forwarded")]
    Method,
    /// A backslash, raw or escaped.
    #[error("the path has a backslash")]
    PathBackslash,
    /// A control character, raw or escaped.
    #[error("the target has a control character")]
    PathControl,
    /// `.` or `..` as a segment, raw or escaped.
    #[error("the path has a dot segment")]
    PathDotSegment,
    /// An escaped percent sign.
    #[error("the path is escaped twice")]
    PathDoubleEncoding,
    /// Two slashes with nothing between them.
    #[error("the path has an empty segment")]
    PathEmptySegment,
    /// An escaped slash.
    #[error("the path has an escaped slash")]
    PathEncodedSlash,
    /// A percent sign without two hexadecimal digits, or a character that may not stand there.
    #[error("the target has a character that may not stand there")]
    PathEncoding,
    /// Neither origin form nor an absolute form of the same host.
    #[error("the target is not a path")]
    PathForm,
    /// A semicolon, raw or escaped.
    #[error("the path has parameters")]
    PathParameters,
    /// A path or a query longer than is looked at.
    #[error("the target is longer than is looked at")]
    PathTooLong,
    /// Escapes that are not UTF-8, overlong forms among them.
    #[error("the path is not utf-8")]
    PathUtf8,
    /// An upgrade that is not a WebSocket's whole and correct opening.
    #[error("the upgrade is not the opening of a websocket")]
    Upgrade,
    /// A version that is neither HTTP/1.0, HTTP/1.1 nor HTTP/2.
    #[error("the version is not one that is spoken here")]
    Version,
}

impl Malformed {
    /// Every way there is, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::DuplicateField,
        Self::Expectation,
        Self::Field,
        Self::Framing,
        Self::HeadTooLarge,
        Self::Host,
        Self::Method,
        Self::PathBackslash,
        Self::PathControl,
        Self::PathDotSegment,
        Self::PathDoubleEncoding,
        Self::PathEmptySegment,
        Self::PathEncodedSlash,
        Self::PathEncoding,
        Self::PathForm,
        Self::PathParameters,
        Self::PathTooLong,
        Self::PathUtf8,
        Self::Upgrade,
        Self::Version,
    ];

    /// The word for records, metrics and the table of answers.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::DuplicateField => Reason::RequestDuplicateField,
            Self::Expectation => Reason::RequestExpectation,
            Self::Field => Reason::RequestField,
            Self::Framing => Reason::RequestFraming,
            Self::HeadTooLarge => Reason::RequestHeadTooLarge,
            Self::Host => Reason::RequestHost,
            Self::Method => Reason::RequestMethod,
            Self::PathBackslash => Reason::RequestPathBackslash,
            Self::PathControl => Reason::RequestPathControl,
            Self::PathDotSegment => Reason::RequestPathDotSegment,
            Self::PathDoubleEncoding => Reason::RequestPathDoubleEncoding,
            Self::PathEmptySegment => Reason::RequestPathEmptySegment,
            Self::PathEncodedSlash => Reason::RequestPathEncodedSlash,
            Self::PathEncoding => Reason::RequestPathEncoding,
            Self::PathForm => Reason::RequestPathForm,
            Self::PathParameters => Reason::RequestPathParameters,
            Self::PathTooLong => Reason::RequestPathTooLong,
            Self::PathUtf8 => Reason::RequestPathUtf8,
            Self::Upgrade => Reason::RequestUpgrade,
            Self::Version => Reason::RequestUnparsed,
        }
    }
}
