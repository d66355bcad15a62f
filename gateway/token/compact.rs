use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::TokenError;

/// The three parts of a compact JWS (RFC 7515 §3.1), decoded but not yet believed.
#[derive(Debug)]
pub(crate) struct Compact<'t> {
    /// Header and payload as they were signed.
    pub(crate) signed: &'t str,
    /// The signature, still encoded: that is how the library takes it. It does decode.
    pub(crate) signature: &'t str,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// Splits and decodes. Base64url without padding and with zero trailing bits, so that one signature has one text.
    pub(crate) fn parse(token: &'t str) -> Result<Self, TokenError> {
        let three = "three parts are wanted, with dots between them";
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed(three))?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed(three))?;
        if payload.contains('.') {
            return Err(TokenError::Malformed(three));
        }
        decode(signature)?;
        Ok(Self { signed, signature, header: decode(header)?, payload: decode(payload)? })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part is not canonical base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_three_parts_of_canonical_base64url() {
        for (token, good) in [
            ("e30.e30.AA", true),
            ("e30..", true), // the parts are judged one by one, later
            ("", false),
            ("e30", false),
            ("e30.e30", false),
            ("e30.e30.AA.", false),
            (".e30.e30.AA", false),
            ("e30.e30.AA==", false),
            ("e30.e30.AB", false), // trailing bits
            ("e30.e3.AA", false),
            ("e30.e30.+A", false),
            ("e30.e30.A", false),
            ("e30.e30.A A", false),
            ("e30.e30.AA\n", false),
            ("é30.e30.AA", false),
        ] {
            assert_eq!(Compact::parse(token).is_ok(), good, "{token:?}");
        }
    }
}
