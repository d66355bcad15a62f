use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use secrets::Secret;
use zeroize::Zeroizing;

use crate::settings::{IntrospectionSettings, address};
use crate::{ClientAuthentication, ClientCredentials};

/// Asks one issuer.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    client: ClientCredentials,
}

/// Why a token could not be asked about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Asking {
    #[error("the answer is not one: {0}")]
    Answer(&'static str),
    #[error("the answer is longer than 64 KiB")]
    Large,
    #[error("there was no answer in time")]
    Late,
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error("what we say of ourselves cannot be signed")]
    Unsigned,
}

impl Asking {
    /// Whether it speaks of the issuer: what it says to one token, whoever made it up, is no reason to believe that it would
    /// say so to the next.
    pub(super) fn is_of_the_issuer(&self) -> bool {
        match self {
            Self::Status(status) => !matches!(status.as_u16(), 400 | 413 | 414 | 415 | 422 | 431),
            Self::Answer(_) | Self::Large | Self::Late | Self::Request(_) | Self::Unsigned => true,
        }
    }
}

/// The longest answer, in bytes.
const LONGEST: usize = 64 << 10;

impl Client {
    pub(super) fn new(settings: &IntrospectionSettings, http: reqwest::Client) -> Option<Self> {
        let url = address(&settings.url, settings.reach, "introspection.url").ok()?;
        Some(Self { http, url, client: settings.client.clone() })
    }

    /// Asks about a token, and gives the body of the answer.
    pub(super) async fn ask(&self, token: &str, now: u64) -> Result<Vec<u8>, Asking> {
        let ClientCredentials { id, authentication } = &self.client;
        let mut form = Zeroizing::new(format!("token={}&token_type_hint=access_token", encoded(token.as_bytes())));
        let mut request = self.http.post(self.url.clone()).header(ACCEPT, "application/json");
        match authentication {
            ClientAuthentication::Basic(secret) => {
                request = request.header(AUTHORIZATION, basic(id, &secret.glance())?);
            }
            ClientAuthentication::Post(secret) => {
                let secret = Zeroizing::new(encoded(secret.glance().expose()));
                let more = Zeroizing::new(format!("&client_id={}&client_secret={}", encoded(id.as_bytes()), *secret));
                form.push_str(&more);
            }
            ClientAuthentication::PrivateKey { key, audience } => {
                // Its name is good once, so that it is made anew each time.
                let assertion = key.glance().assertion(id, audience, now).ok_or(Asking::Unsigned)?;
                form.push_str(
                    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
                );
                form.push_str("&client_assertion=");
                form.push_str(&assertion);
            }
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_string());
        let failed = |error: reqwest::Error| Asking::Request(error.without_url());
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(Asking::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Asking::Large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Both are encoded first (RFC 6749 §2.3.1), so that a colon in the id ends nothing.
fn basic(id: &str, secret: &Secret<Vec<u8>>) -> Result<HeaderValue, Asking> {
    let secret = Zeroizing::new(encoded(secret.expose()));
    let pair = Zeroizing::new(format!("{}:{}", encoded(id.as_bytes()), *secret));
    let field = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&field).map_err(|_| Asking::Answer("the credentials fit into no field"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// As in a form (WHATWG URL §5.2), with `%20` for a space.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => text.push(char::from(*byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_before_they_are_put_together() {
        let secret = Secret::new(b"p:a/s s%\xff".to_vec());
        let value = basic("a:b", &secret).unwrap();
        assert!(value.is_sensitive());
        let pair = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(pair).unwrap(), b"a%3Ab:p%3Aa%2Fs%20s%25%FF");
    }

    #[test]
    fn what_one_token_may_bring_about_is_not_held_against_the_issuer() {
        for (status, held) in
            [(400, false), (413, false), (401, true), (403, true), (429, true), (302, true), (500, true)]
        {
            assert_eq!(Asking::Status(StatusCode::from_u16(status).unwrap()).is_of_the_issuer(), held, "{status}");
        }
    }
}
