use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use terms::RequestId;

use crate::backend::{Audience, Issuer};
use crate::identity::{Forwarded, Identity};

/// What an assertion says, on its way into JSON.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) audience: &'a Audience,
    pub(crate) identity: &'a Identity<'a>,
    pub(crate) id: RequestId,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    /// What the backend is told in fields of their own.
    pub(crate) fields: &'a [(HeaderName, HeaderValue)],
    /// The request that the assertion is good for; `None`: the signature says which.
    pub(crate) bound_to: Option<&'a Forwarded<'a>>,
}

impl Claims<'_> {
    /// The JSON, always with the same members in the same order.
    pub(crate) fn json(&self) -> Vec<u8> {
        let Self { issuer, audience, identity, id, issued_at, expires_at, fields, bound_to } = self;
        let Identity {
            tenant,
            issuer: provider,
            subject,
            roles,
            acr,
            amr,
            auth_time,
            claimed: _,
            expires_at: _,
            token: _,
        } = identity;
        let mut json = Object(Vec::with_capacity(512));
        json.text("iss", issuer.as_str());
        json.text("aud", audience.as_str());
        json.text("sub", subject.as_str());
        json.text("idp", provider.as_str());
        json.text("tenant", tenant.as_str());
        json.texts("roles", roles.iter().map(terms::RoleName::as_str));
        json.number("iat", *issued_at);
        json.number("exp", *expires_at);
        json.text("jti", &id.to_string());
        if let Some(Forwarded { method, path, .. }) = bound_to {
            json.text("htm", method);
            json.text("htu", path);
        }
        if let Some(acr) = acr {
            json.text("acr", acr);
        }
        if !amr.is_empty() {
            json.texts("amr", amr.iter().map(AsRef::as_ref));
        }
        if let Some(auth_time) = auth_time {
            json.number("auth_time", *auth_time);
        }
        if !fields.is_empty() {
            let mut told = Object(Vec::with_capacity(256));
            for (name, value) in *fields {
                told.text(name.as_str(), value.to_str().unwrap_or_default()); // it was made of a text
            }
            json.name("fields");
            json.0.append(&mut told.end());
        }
        json.end()
    }
}

/// A JSON object that is being written. Members come as they are called.
struct Object(Vec<u8>);

impl Object {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.0.extend_from_slice(number.to_string().as_bytes());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.string(text);
    }

    fn texts<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a str>) {
        self.name(name);
        self.0.push(b'[');
        for (i, text) in texts.enumerate() {
            if i > 0 {
                self.0.push(b',');
            }
            self.string(text);
        }
        self.0.push(b']');
    }

    /// RFC 8259 §7: a quotation mark, a backslash and control characters are escaped, all else stands for itself.
    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..0x20 => self.0.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.0.push(byte),
            }
        }
        self.0.push(b'"');
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// Appends as RFC 7515 §2 writes octets: base64url without padding.
pub(crate) fn push_base64url(text: &mut String, octets: &[u8]) {
    BASE64_URL_SAFE_NO_PAD.encode_string(octets, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_out_of_the_json_as_it_went_in(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let mut json = Object(Vec::new());
            json.texts("texts", texts.iter().map(String::as_str));
            let read: serde_json::Value = serde_json::from_slice(&json.end()).unwrap();
            let read: Vec<_> = read["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
