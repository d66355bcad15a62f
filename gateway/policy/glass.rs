//! Break-glass: what people may do beyond their roles when they must, and say why.

use std::fmt;

use terms::Place;

/// What has to be said to do what roles do not allow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Justification {
    /// The field that says it, in lower case.
    pub header: Box<str>,
    /// How many characters it has at least, white space not counted.
    pub shortest: usize,
    pub(crate) place: Place,
}

/// Why a text is no justification.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unjustified {
    /// There is none.
    #[error("it is missing")]
    Missing,
    /// It has characters that are not for reading: those of control, and those that change the direction of others.
    #[error("it has characters of control")]
    Control,
    /// It cannot be kept whole.
    #[error("it is longer than {} bytes", Justification::LONGEST)]
    Long,
    /// It says too little.
    #[error("it is too short")]
    Short,
    /// It stands there more than once, or is no UTF-8.
    #[error("it stands there more than once, or is no UTF-8")]
    Unreadable,
}

impl Unjustified {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Long => "too_long",
            Self::Missing => "missing",
            Self::Short => "too_short",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Justification {
    /// The longest, in bytes of UTF-8: what a record can keep of it.
    pub const LONGEST: usize = 240;

    /// The text, if it is one.
    ///
    /// # Errors
    /// Why not. What is refused is never cut or mended: what counted is what is on record.
    pub fn read<'h>(&self, headers: Option<&'h dyn Headers>) -> Result<&'h str, Unjustified> {
        let found = headers.ok_or(Unjustified::Missing)?.field(&self.header).map_err(|_| Unjustified::Unreadable)?;
        let text = found.map(str::trim).filter(|text| !text.is_empty()).ok_or(Unjustified::Missing)?;
        if text.len() > Self::LONGEST {
            return Err(Unjustified::Long);
        }
        if text.chars().any(|c| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        }) {
            return Err(Unjustified::Control);
        }
        if text.chars().filter(|c| !c.is_whitespace()).count() < self.shortest {
            return Err(Unjustified::Short);
        }
        Ok(text)
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a justification of {} characters in `{}`", self.shortest, self.header)
    }
}

/// The header fields of a request. Nobody has verified what they say.
pub trait Headers: fmt::Debug {
    /// What the one field of this name says, which is in lower case.
    ///
    /// # Errors
    /// There are several, or it is no UTF-8.
    fn field(&self, name: &str) -> Result<Option<&str>, Unreadable>;
}

/// A field that is there and cannot be taken for one text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unreadable;

/// Those of a request that nobody has sent.
impl Headers for Vec<(String, String)> {
    fn field(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        let mut found = self.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value)),
            (Some(_), Some(_)) => Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_justification_is_one_text_for_people_to_read_or_none() {
        let wanted = Justification {
            header: "x-justification".into(),
            shortest: 10,
            place: Place { file: "p.yaml".into(), line: 1, column: 1 },
        };
        let of = |values: &[&str]| -> Result<String, Unjustified> {
            let sent: Vec<(String, String)> =
                values.iter().map(|value| ("x-justification".to_owned(), (*value).to_owned())).collect();
            wanted.read(Some(&sent)).map(str::to_owned)
        };
        let (just, more) = ("ä".repeat(Justification::LONGEST / 2), "a".repeat(Justification::LONGEST + 1));
        for (values, expected) in [
            (&[][..], Err(Unjustified::Missing)),
            (&[""], Err(Unjustified::Missing)),
            (&["   \t"], Err(Unjustified::Missing)),
            (&["123456789"], Err(Unjustified::Short)),
            (&["1 2 3 4 5 6 7 8 9      "], Err(Unjustified::Short)),
            (&["1234567890"], Ok("1234567890")),
            (&["  cardiac arrest, ward 3 "], Ok("cardiac arrest, ward 3")),
            (&["bewusstlos, Übernahme"], Ok("bewusstlos, Übernahme")),
            (&[&just], Ok(&*just)),
            (&[&more], Err(Unjustified::Long)),
            (&["cardiac\tarrest"], Err(Unjustified::Control)),
            (&["cardiac \u{202e}tserra"], Err(Unjustified::Control)),
            (&["cardiac\u{200b}\u{200b}\u{200b}\u{200b}"], Err(Unjustified::Control)),
            (&["cardiac arrest", "cardiac arrest"], Err(Unjustified::Unreadable)),
        ] {
            assert_eq!(of(values), expected.map(str::to_owned), "{values:?}");
        }
        assert_eq!(wanted.read(None), Err(Unjustified::Missing));
    }
}
