use std::fmt;
use std::str::FromStr;

/// Who takes tokens back, or lets them be good again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Author {
    /// Whoever has the token of the admin listener.
    Admin,
    /// Whoever ran the command: the number of the user of the system.
    Command(u32),
    /// The issuer of the tokens.
    Issuer,
}

/// Why a text is not an author.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is `admin`, `issuer`, or `command:` and the number of a user")]
pub struct InvalidAuthor;

impl FromStr for Author {
    type Err = InvalidAuthor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("command:")) {
            ("admin", _) => Ok(Self::Admin),
            ("issuer", _) => Ok(Self::Issuer),
            (_, Some(number)) => {
                let user = number.parse().map(Self::Command).map_err(|_| InvalidAuthor)?;
                // Only as it is written.
                if user.to_string() == text { Ok(user) } else { Err(InvalidAuthor) }
            }
            (_, None) => Err(InvalidAuthor),
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Command(user) => write!(f, "command:{user}"),
            Self::Issuer => f.write_str("issuer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_reads_back_and_nothing_else_is_one() {
        for author in [Author::Admin, Author::Issuer, Author::Command(0), Author::Command(u32::MAX)] {
            assert_eq!(author.to_string().parse(), Ok(author));
        }
        for text in ["", "Admin", "command", "command:", "command:-1", "command:+1", "command:01", "command:4294967296"]
        {
            assert_eq!(text.parse::<Author>(), Err(InvalidAuthor), "{text}");
        }
    }
}
