use crate::json::{Bounds, InvalidJson, Json, parse_object};
use crate::{Algorithm, TokenError};

/// What of the JOSE header is of use: which algorithm, which key. All else must not be there or is not looked at.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) kind: Kind,
}

/// What a token says that it is, if it says so (`typ`, RFC 7515 §4.1.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// An access token (RFC 9068 §2.1).
    AccessToken,
    /// A security event (RFC 8417 §2.3).
    Event,
    /// A JWT of whatever kind, or nothing.
    Jwt,
    /// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
    Logout,
}

/// The longest `kid`, in bytes.
pub(crate) const LONGEST_KID: usize = 256;

const BOUNDS: Bounds = Bounds { depth: 4, values: 64 };

/// What would let the token bring its own key, its own rules or its own packing (RFC 7515 §4.1, RFC 7797, RFC 7516).
/// No `crit` is understood here, so each is refused (RFC 7515 §4.1.11).
const REFUSED: &[(&str, &str)] = &[
    ("b64", "`b64` is not supported"),
    ("crit", "`crit` names extensions, and none is supported"),
    ("enc", "encrypted tokens are not supported"),
    ("jku", "`jku` would let the token choose its keys"),
    ("jwk", "`jwk` would let the token bring its key"),
    ("x5c", "`x5c` would let the token bring its key"),
    ("x5u", "`x5u` would let the token choose its keys"),
    ("zip", "compression is not supported"),
];

/// An access token and nothing else (RFC 8725 §3.11, RFC 9068 §2.1), compared without case (RFC 7515 §4.1.9).
pub(crate) const ACCESS_TOKENS: &[(&str, Kind)] =
    &[("JWT", Kind::Jwt), ("at+jwt", Kind::AccessToken), ("application/at+jwt", Kind::AccessToken)];

/// A logout token; older issuers call it a JWT and no more. What else it is, its claims say.
pub(crate) const LOGOUT_TOKENS: &[(&str, Kind)] =
    &[("JWT", Kind::Jwt), ("logout+jwt", Kind::Logout), ("application/logout+jwt", Kind::Logout)];

/// A security event and nothing else.
pub(crate) const EVENTS: &[(&str, Kind)] = &[("secevent+jwt", Kind::Event), ("application/secevent+jwt", Kind::Event)];

impl Header {
    /// Reads the header of a token of one of these types.
    pub(crate) fn parse(bytes: &[u8], types: &[(&str, Kind)]) -> Result<Self, TokenError> {
        let members = parse_object(bytes, BOUNDS).map_err(|invalid| match invalid {
            InvalidJson::Deep | InvalidJson::Many => TokenError::Header("there is too much of it"),
            InvalidJson::Duplicate => TokenError::Header("a name stands twice"),
            InvalidJson::Syntax => TokenError::Malformed("the header is not a json object"),
        })?;
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| members.contains_key(*name)) {
            return Err(TokenError::Header(why));
        }
        // What is inside a nested token was judged by nobody (RFC 7519 §5.2). Claims are of no other content type.
        if members.get("cty").is_some_and(|inside| !is_json(inside)) {
            return Err(TokenError::Header("`cty` says that there is something else than claims inside"));
        }
        let kind = match members.get("typ") {
            None if types.iter().any(|(_, kind)| *kind == Kind::Jwt) => Kind::Jwt,
            None => return Err(TokenError::Header("`typ` is missing")),
            Some(typ) => {
                let typ = typ.as_text().unwrap_or_default();
                let known = types.iter().find(|(known, _)| known.eq_ignore_ascii_case(typ));
                known.ok_or(TokenError::Header("`typ` is not that of what is wanted here"))?.1
            }
        };
        let kid = match members.get("kid") {
            None => None,
            Some(Json::Text(kid)) if kid.len() <= LONGEST_KID => Some(kid.clone()),
            Some(_) => return Err(TokenError::Header("`kid` is not a text of at most 256 bytes")),
        };
        let algorithm = members
            .get("alg")
            .and_then(Json::as_text)
            .ok_or(TokenError::Header("`alg` is missing or not a text"))?
            .parse()
            .map_err(|_| TokenError::Algorithm("it is not one for public keys"))?;
        Ok(Self { algorithm, kid, kind })
    }
}

fn is_json(content: &Json) -> bool {
    content.as_text().is_some_and(|text| ["json", "application/json"].iter().any(|it| it.eq_ignore_ascii_case(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::Reason;

    #[test]
    fn a_header_names_an_algorithm_and_perhaps_a_key_and_brings_nothing_of_its_own() {
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
        for (text, expected) in [
            (r#"{"alg":"ES256"}"#, None),
            (r#"{"alg":"ES256","kid":"a","typ":"JWT","x5t":"ignored"}"#, None),
            (r#"{"alg":"ES256","typ":"AT+JWT"}"#, None),
            (r#"{"alg":"ES256","typ":"application/at+jwt"}"#, None),
            (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","typ":"secevent+jwt"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","cty":"JSON"}"#, None),
            (r#"{"alg":"ES256","cty":"JWT"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","cty":["json"]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","typ":1}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","typ":null}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"none"}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":"nOnE"}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":""}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":"HS256"}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":"es256"}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":"ES256K"}"#, Some(Reason::AuthInvalidAlgorithm)),
            (r#"{"alg":["ES256"]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"kid":"a"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","alg":"ES256"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","kid":7}"#, Some(Reason::AuthInvalidHeader)),
            (long.as_str(), Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","crit":[]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","crit":["exp"]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","b64":false}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","zip":"DEF"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","enc":"A256GCM"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","jku":"https://evil.example/"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","x5u":"https://evil.example/"}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","jwk":{"kty":"EC"}}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","x5c":["MIIB"]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"{"alg":"ES256","a":[[[[]]]]}"#, Some(Reason::AuthInvalidHeader)),
            (r#"["alg"]"#, Some(Reason::AuthInvalidMalformed)),
            ("", Some(Reason::AuthInvalidMalformed)),
        ] {
            assert_eq!(Header::parse(text.as_bytes(), ACCESS_TOKENS).err().map(TokenError::reason), expected, "{text}");
        }
    }
}
