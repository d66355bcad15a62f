use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use terms::Binding;

use crate::TokenError;
use crate::claims::Claims;
use crate::json::Json;

/// What a token is bound to (`cnf`, RFC 7800): whoever uses it must show all of it, each time. Nothing, if it is good for
/// whoever has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Confirmation {
    certificate: Option<[u8; 32]>,
    key: Option<[u8; 32]>,
}

impl Confirmation {
    /// Two ways are known, and a token may be bound in both.
    ///
    /// FAIL CLOSED: of a way that is not known nobody could show the proof, and to pass over it would make the token good
    /// for whoever has it.
    pub(crate) fn read(claims: &Claims) -> Result<Self, TokenError> {
        let mut read = Self::default();
        for (method, value) in claims.confirmation()?.into_iter().flatten() {
            match method.as_str() {
                "x5t#S256" => read.certificate = Some(digest(value)?),
                "jkt" => read.key = Some(digest(value)?),
                _ => return Err(TokenError::Confirmation("`cnf` names a way of proof that is not known here")),
            }
        }
        Ok(read)
    }

    /// The SHA-256 of the certificate that the client must show (`x5t#S256`, RFC 8705 §3.1).
    #[must_use]
    pub const fn certificate(&self) -> Option<&[u8; 32]> {
        self.certificate.as_ref()
    }

    /// The thumbprint of the key with which the client must sign (`jkt`, RFC 9449 §6.1).
    #[must_use]
    pub const fn key(&self) -> Option<&[u8; 32]> {
        self.key.as_ref()
    }

    /// Whether it is bound in this way.
    #[must_use]
    pub const fn has(&self, binding: Binding) -> bool {
        match binding {
            Binding::Certificate => self.certificate.is_some(),
            Binding::Dpop => self.key.is_some(),
        }
    }
}

fn digest(value: &Json) -> Result<[u8; 32], TokenError> {
    let decoded = value.as_text().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let digest = decoded.and_then(|bytes| bytes.try_into().ok());
    digest.ok_or(TokenError::Confirmation("a digest in `cnf` is not 32 bytes in base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bound_as_it_says_and_one_that_nobody_can_prove_is_refused() {
        let (a, b) = ("A".repeat(43), format!("{}E", "A".repeat(42)));
        let digest = |last| {
            let mut digest = [0; 32];
            digest[31] = last;
            Some(digest)
        };
        for (cnf, expected) in [
            (String::new(), Ok((None, None))),
            (format!(r#""cnf":{{"x5t#S256":"{a}"}}"#), Ok((digest(0), None))),
            (format!(r#""cnf":{{"jkt":"{b}"}}"#), Ok((None, digest(1)))),
            (format!(r#""cnf":{{"jkt":"{a}","x5t#S256":"{b}"}}"#), Ok((digest(1), digest(0)))),
            (format!(r#""cnf":{{"jkt":"{a}","kid":"k"}}"#), Err(())),
            (r#""cnf":{"jwk":{"kty":"EC"}}"#.to_owned(), Err(())),
            (r#""cnf":{"x5t":"AAAA"}"#.to_owned(), Err(())),
            (format!(r#""cnf":{{"X5T#S256":"{a}"}}"#), Err(())),
            (format!(r#""cnf":{{"x5t#S256":"{a}="}}"#), Err(())),
            (format!(r#""cnf":{{"x5t#S256":"{}"}}"#, "A".repeat(42)), Err(())),
            (format!(r#""cnf":{{"x5t#S256":"{}B"}}"#, "A".repeat(42)), Err(())), // trailing bits
            (format!(r#""cnf":{{"x5t#S256":["{a}"]}}"#), Err(())),
            (r#""cnf":{"jkt":""}"#.to_owned(), Err(())),
            (r#""cnf":{"jkt":null}"#.to_owned(), Err(())),
            (r#""cnf":{}"#.to_owned(), Err(())),
            (r#""cnf":null"#.to_owned(), Err(())),
            (r#""cnf":"x5t#S256""#.to_owned(), Err(())),
        ] {
            let claims = Claims::parse(format!("{{{cnf}}}").as_bytes()).unwrap();
            let read = Confirmation::read(&claims).map(|read| (read.certificate().copied(), read.key().copied()));
            assert_eq!(read.map_err(|_| ()), expected, "{cnf}");
        }
    }
}
