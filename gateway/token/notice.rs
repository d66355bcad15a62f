use std::collections::BTreeMap;

use terms::{IssuerId, Subject, TenantId};

use crate::claims::Claims;
use crate::header::{EVENTS, Kind, LOGOUT_TOKENS};
use crate::issuer::Voice;
use crate::json::Json;
use crate::{NoticeSettings, TokenError};

/// What an issuer says about tokens of its own, signed by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Who says it, as the configuration calls it.
    pub by: IssuerId,
    /// Which issuer, told from all others.
    pub issuer: IssuerId,
    /// The only tenant that it speaks for, if it is one of those that each tenant has one of.
    pub realm: Option<TenantId>,
    /// Whose tokens are not good any longer. Nothing, if it only wants to be heard.
    pub about: Vec<About>,
    /// Whatever was issued before this second, the issuer knew when it said it.
    pub before: u64,
    /// The most revocations that this issuer may have at a time.
    pub most: u64,
    /// Up to when tokens that are good now may be good at most, in seconds since the Unix epoch.
    pub until: u64,
}

/// Tokens that an issuer takes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum About {
    /// All of a session.
    Session(Box<str>),
    /// Those of a subject that were issued before this second.
    Subject(Subject, u64),
}

/// In which form it is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoticeKind {
    /// A logout token (OpenID Connect Back-Channel Logout 1.0).
    Logout,
    /// A security event token (RFC 8417), as the Shared Signals Framework has them.
    SecurityEvent,
}

/// The longest name of a session, in bytes.
const SESSION: usize = 255;

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Events after which the tokens of whom they are about are not good any longer (CAEP 1.0 §3, RISC 1.0 §2).
const REVOKING: &[&str] = &[
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required",
    "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-purged",
    "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
    "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
];

impl NoticeKind {
    pub(crate) const fn types(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Logout => LOGOUT_TOKENS,
            Self::SecurityEvent => EVENTS,
        }
    }
}

impl Notice {
    /// Reads the claims of a notice. `now` is in seconds since the Unix epoch.
    pub(crate) fn read(claims: &Claims, kind: NoticeKind, by: Voice<'_>, now: u64) -> Result<Self, TokenError> {
        let settings = by.settings;
        let leeway = settings.leeway.as_secs();
        let NoticeSettings { audiences: ours, max_revocations: most } =
            settings.notices.as_ref().ok_or(TokenError::Issuer)?;
        let audiences = claims
            .texts("aud", "`aud` is neither a text nor a list of texts")?
            .ok_or(TokenError::Claims("`aud` is missing"))?;
        if !audiences.iter().any(|given| ours.iter().any(|ours| ours == given)) {
            return Err(TokenError::Audience);
        }
        let issued = claims.date("iat", "`iat` is not a date")?.ok_or(TokenError::Claims("`iat` is missing"))?.floor();
        if now.saturating_add(leeway) < issued {
            return Err(TokenError::NotYet);
        }
        if claims.date("exp", "`exp` is not a date")?.is_some_and(|exp| now >= exp.floor().saturating_add(leeway)) {
            return Err(TokenError::Expired);
        }
        if claims.text("jti", SESSION, "`jti` is not a text of at most 255 bytes")?.is_none_or(str::is_empty) {
            return Err(TokenError::Claims("`jti` is missing"));
        }
        let events = claims.events()?.ok_or(TokenError::Claims("`events` is missing"))?;
        // Also those of the very second in which it was said.
        let before = issued.saturating_add(1);
        let about = match kind {
            NoticeKind::Logout => logout(claims, events, before)?,
            NoticeKind::SecurityEvent => security(claims, events, before)?,
        };
        let longest = settings.max_lifetime.map_or(u64::MAX, |longest| longest.as_secs());
        let until = now.max(issued).saturating_add(longest).saturating_add(leeway);
        let (issuer, realm) = (by.name.clone(), by.realm.cloned());
        Ok(Self { by: settings.id.clone(), issuer, realm, about, before, most: *most, until })
    }
}

/// OpenID Connect Back-Channel Logout 1.0 §2.6.
fn logout(claims: &Claims, events: &BTreeMap<String, Json>, before: u64) -> Result<Vec<About>, TokenError> {
    if events.get(LOGOUT).and_then(Json::as_object).is_none() {
        return Err(TokenError::Claims("it tells of no logout"));
    }
    if claims.get("nonce").is_some() {
        return Err(TokenError::Claims("`nonce` must not be there: it could be an ID token"));
    }
    if claims.get("exp").is_none() {
        return Err(TokenError::Claims("`exp` is missing"));
    }
    let subject = claims.text("sub", Subject::MAX, "`sub` is not a text of at most 255 bytes")?;
    match (claims.text("sid", SESSION, "`sid` is not a text of at most 255 bytes")?, subject) {
        (Some(sid), _) => Ok(vec![About::Session(sid.into())]),
        (None, Some(subject)) => Ok(vec![About::Subject(parsed(subject)?, before)]),
        (None, None) => Err(TokenError::Claims("neither `sid` nor `sub` is there")),
    }
}

/// OpenID Shared Signals Framework 1.0 §4; what a receiver does not know of, it leaves alone.
fn security(claims: &Claims, events: &BTreeMap<String, Json>, before: u64) -> Result<Vec<About>, TokenError> {
    let mut about = Vec::new();
    for (name, event) in events {
        let event = event.as_object().ok_or(TokenError::Claims("an event is not an object"))?;
        if REVOKING.contains(&name.as_str()) {
            // Before SSF 1.0, events named whom they are about themselves.
            let subject = claims.get("sub_id").or_else(|| event.get("subject"));
            let subject = subject.and_then(Json::as_object).ok_or(TokenError::Claims("`sub_id` is missing"))?;
            about.push(whom(subject, claims.issuer()?, before)?);
        }
    }
    Ok(about)
}

/// FAIL CLOSED: whom we cannot tell, nobody is told that the event has arrived (RFC 9493 has more formats than these).
fn whom(subject: &BTreeMap<String, Json>, issuer: &str, before: u64) -> Result<About, TokenError> {
    let unknown = TokenError::Claims("whom the event is about is not said in a way that is understood");
    let text = |of: &BTreeMap<String, Json>, name: &str| of.get(name).and_then(Json::as_text).map(str::to_owned);
    match text(subject, "format").as_deref() {
        Some("iss_sub") => {
            // One issuer's subjects are nothing to another one, whatever it says of them.
            let theirs = text(subject, "iss").as_deref() == Some(issuer);
            let subject = text(subject, "sub").filter(|_| theirs).ok_or(unknown)?;
            Ok(About::Subject(parsed(&subject)?, before))
        }
        Some("opaque") => Ok(About::Subject(parsed(&text(subject, "id").ok_or(unknown)?)?, before)),
        Some("complex") => {
            let part = |name: &str| subject.get(name).and_then(Json::as_object);
            match (part("session"), part("user")) {
                (Some(session), _) if text(session, "format").as_deref() == Some("opaque") => {
                    let sid = text(session, "id").filter(|sid| (1..=SESSION).contains(&sid.len())).ok_or(unknown)?;
                    Ok(About::Session(sid.into()))
                }
                (None, Some(user)) => match text(user, "format").as_deref() {
                    Some("iss_sub" | "opaque") => whom(user, issuer, before),
                    Some(_) | None => Err(unknown),
                },
                (Some(_), _) | (None, None) => Err(unknown),
            }
        }
        Some(_) | None => Err(unknown),
    }
}

fn parsed(subject: &str) -> Result<Subject, TokenError> {
    subject.parse().map_err(|_| TokenError::Claims("the subject is not one"))
}
