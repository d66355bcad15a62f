use std::fmt;

/// What the `Authorization` field holds (RFC 6750 §2.1).
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Bearer<'h> {
    /// Another scheme, or not exactly `Bearer`, one space and a `token68`.
    Malformed,
    /// No such field.
    Missing,
    /// The token, not yet looked at.
    Token(&'h str),
}

impl<'h> Bearer<'h> {
    pub(crate) fn parse(field: Option<&'h http::HeaderValue>) -> Self {
        let Some(field) = field else {
            return Self::Missing;
        };
        let token = field.as_bytes().split_at_checked(SCHEME.len()).and_then(|(scheme, token)| {
            let token = std::str::from_utf8(token).ok()?;
            (scheme.eq_ignore_ascii_case(SCHEME) && is_token68(token)).then_some(token)
        });
        token.map_or(Self::Malformed, Self::Token)
    }
}

/// A token is a secret: it is not printed.
impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "Malformed",
            Self::Missing => "Missing",
            Self::Token(_) => "Token(…)",
        })
    }
}

const SCHEME: &[u8] = b"bearer ";

/// RFC 9110 §11.2: letters, digits and `- . _ ~ + /`, then any number of `=`.
fn is_token68(token: &str) -> bool {
    let text = token.trim_end_matches('=').as_bytes();
    let within = |byte: u8, first: u8, count: u8| byte.wrapping_sub(first) < count;
    let allowed = |byte: u8| {
        within(byte | 0x20, b'a', 26) | within(byte, b'-', 13) | (byte == b'+') | (byte == b'_') | (byte == b'~') // 13: `-./0` to `9`
    };
    // A fold without an early end, so that a token of a kilobyte is done sixteen bytes at a time.
    !text.iter().fold(text.is_empty(), |bad, byte| bad | !allowed(*byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_is_the_scheme_one_space_and_a_token() {
        for (text, expected) in [
            ("Bearer aA0-._~+/==", Bearer::Token("aA0-._~+/==")),
            ("bEARER x", Bearer::Token("x")),
            ("Bearer", Bearer::Malformed),
            ("Bearer ", Bearer::Malformed),
            ("Bearer  x", Bearer::Malformed),
            ("Bearer\tx", Bearer::Malformed),
            ("Bearer x y", Bearer::Malformed),
            ("Bearer x,y", Bearer::Malformed),
            ("Bearer =", Bearer::Malformed),
            ("Bearer a=b", Bearer::Malformed),
            ("Bearerx", Bearer::Malformed),
            ("Basic dTpw", Bearer::Malformed),
            ("", Bearer::Malformed),
        ] {
            assert_eq!(Bearer::parse(Some(&HeaderValue::from_static(text))), expected, "{text:?}");
        }
        assert_eq!(Bearer::parse(Some(&HeaderValue::from_bytes(b"Bearer \xff").unwrap())), Bearer::Malformed);
        assert_eq!(Bearer::parse(None), Bearer::Missing);
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Bearer::Token("secret")).contains("secret"));
    }
}
