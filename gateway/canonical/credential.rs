use std::fmt;

/// What the `Authorization` field holds. A token in it is not yet looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Credential<'h> {
    /// A token that is good for whoever has it (RFC 6750 §2.1).
    Bearer(&'h str),
    /// A token that comes with a proof (RFC 9449 §7.1).
    Dpop(&'h str),
    /// Another scheme, or not exactly a scheme, one space and a `token68`.
    Malformed,
    /// No such field.
    Missing,
}

impl<'h> Credential<'h> {
    pub(crate) fn parse(field: Option<&'h http::HeaderValue>) -> Self {
        let Some(field) = field else {
            return Self::Missing;
        };
        let by = |scheme: &[u8]| {
            let (given, token) = field.as_bytes().split_at_checked(scheme.len())?;
            let token = std::str::from_utf8(token).ok()?;
            (given.eq_ignore_ascii_case(scheme) && is_token68(token)).then_some(token)
        };
        let bearer = by(BEARER).map(Self::Bearer);
        bearer.or_else(|| by(DPOP).map(Self::Dpop)).unwrap_or(Self::Malformed)
    }
}

/// A token is a secret: it is not printed.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Dpop(_) => "Dpop(…)",
            Self::Malformed => "Malformed",
            Self::Missing => "Missing",
        })
    }
}

const BEARER: &[u8] = b"bearer ";
const DPOP: &[u8] = b"dpop ";

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
    fn a_credential_is_a_scheme_one_space_and_a_token() {
        for (text, expected) in [
            ("Bearer aA0-._~+/==", Credential::Bearer("aA0-._~+/==")),
            ("bEARER x", Credential::Bearer("x")),
            ("DPoP x", Credential::Dpop("x")),
            ("dpop x", Credential::Dpop("x")),
            ("DPoP ", Credential::Malformed),
            ("DPoPx", Credential::Malformed),
            ("Bearer", Credential::Malformed),
            ("Bearer ", Credential::Malformed),
            ("Bearer  x", Credential::Malformed),
            ("Bearer\tx", Credential::Malformed),
            ("Bearer x y", Credential::Malformed),
            ("Bearer x,y", Credential::Malformed),
            ("Bearer =", Credential::Malformed),
            ("Bearer a=b", Credential::Malformed),
            ("Bearerx", Credential::Malformed),
            ("Basic dTpw", Credential::Malformed),
            ("", Credential::Malformed),
        ] {
            assert_eq!(Credential::parse(Some(&HeaderValue::from_static(text))), expected, "{text:?}");
        }
        assert_eq!(Credential::parse(Some(&HeaderValue::from_bytes(b"Bearer \xff").unwrap())), Credential::Malformed);
        assert_eq!(Credential::parse(None), Credential::Missing);
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Credential::Bearer("secret")).contains("secret"));
    }
}
