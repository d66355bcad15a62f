use std::fmt;
use std::net::IpAddr;

use terms::{RequestId, TenantId};

use crate::key::{OVERHEAD, Unsealable};
use crate::{Fields, Persona};

/// At most so much of `User-Agent` is kept, in bytes.
pub const USER_AGENT_MAX: usize = 256;

/// A longer justification is not sealed.
pub const JUSTIFICATION_MAX: usize = 240;

/// The longest that [`Sealed::as_bytes`] gives.
pub const SEALED_MAX: usize = HEAD + 16 + USER_AGENT_MAX + OVERHEAD;

/// Length of the address, and the address.
const HEAD: usize = 1;

/// Set in the length of the address if a justification follows it, led by its own length.
const JUSTIFIED: u8 = 0x80;

/// The version of the fields, which is sealed with them.
const VERSION: u8 = 1;

/// What is known of a person behind a request and must not stand in a record as it is. It does not implement `serde::Serialize`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Personal<'a> {
    /// The client's address, whole.
    pub client: Option<IpAddr>,
    /// The `User-Agent`, as it was sent. The first 256 bytes are kept, or what is left of them behind a justification.
    pub user_agent: Option<&'a [u8]>,
    /// Why it had to be, where somebody said so. It is kept whole, whatever else is to be.
    pub justification: Option<&'a str>,
}

/// Whose fields these are: they open for no other request and no other tenant.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The request.
    pub id: RequestId,
    /// The tenant that it acts for.
    pub tenant: &'a TenantId,
}

/// Personal fields under the key of their person, as they go into a record.
#[derive(Clone, Copy)]
pub struct Sealed {
    bytes: [u8; SEALED_MAX],
    length: usize,
}

/// Personal fields that were sealed once, and opened again.
#[derive(Clone, Eq, PartialEq)]
pub struct Opened {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Why it had to be.
    pub justification: Option<String>,
    /// The `User-Agent`, as far as it was kept. What is no UTF-8 in it is shown as such.
    pub user_agent: Option<String>,
}

impl Sealed {
    /// Nonce, ciphertext and tag of XChaCha20-Poly1305.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Persona {
    /// Seals what is to be kept of the person behind a request. `None`, if nothing is. No memory is allocated here.
    ///
    /// # Errors
    /// Cryptography or its randomness failed.
    pub fn seal(&self, personal: Personal<'_>, about: About<'_>) -> Result<Option<Sealed>, Unsealable> {
        let Fields { client_ip, user_agent } = self.fields;
        let client = personal.client.filter(|_| client_ip);
        let agent = personal.user_agent.filter(|_| user_agent);
        let justification = personal.justification.map(str::as_bytes);
        if client.is_none() && agent.is_none() && justification.is_none() {
            return Ok(None);
        }
        let mut sealed = Sealed { bytes: [0; SEALED_MAX], length: 0 };
        let mut at = OVERHEAD - 16; // behind the nonce
        let mut put = |bytes: &[u8]| -> Result<(), Unsealable> {
            let place = sealed.bytes.get_mut(at..at + bytes.len()).ok_or(Unsealable)?;
            place.copy_from_slice(bytes);
            at += bytes.len();
            Ok(())
        };
        let justified = if justification.is_some() { JUSTIFIED } else { 0 };
        match client.map(|client| client.to_canonical()) {
            None => put(&[justified])?,
            Some(IpAddr::V4(address)) => put(&[4 | justified]).and_then(|()| put(&address.octets()))?,
            Some(IpAddr::V6(address)) => put(&[16 | justified]).and_then(|()| put(&address.octets()))?,
        }
        let mut room = USER_AGENT_MAX;
        if let Some(text) = justification {
            // FAIL CLOSED: what was said is kept whole, or nothing is let through by it.
            let length = u8::try_from(text.len()).ok().filter(|_| text.len() <= JUSTIFICATION_MAX).ok_or(Unsealable)?;
            put(&[length]).and_then(|()| put(text))?;
            room = room.saturating_sub(text.len() + 1);
        }
        if let Some(agent) = agent {
            put(agent.get(..room).unwrap_or(agent))?;
        }
        sealed.length = at + 16;
        let place = sealed.bytes.get_mut(..sealed.length).ok_or(Unsealable)?;
        let (words, length) = about.words();
        self.key.seal_in_place(place, words.get(..length).ok_or(Unsealable)?)?;
        Ok(Some(sealed))
    }

    /// Opens what [`Persona::seal`] has sealed.
    ///
    /// # Errors
    /// It is another's, or of another request.
    pub fn open(&self, sealed: &[u8], about: About<'_>) -> Result<Opened, Unsealable> {
        let (words, length) = about.words();
        let text = self.key.open(sealed, words.get(..length).ok_or(Unsealable)?)?;
        let (length, rest) = text.expose().split_first().ok_or(Unsealable)?;
        let (address, rest) = rest.split_at_checked(usize::from(length & !JUSTIFIED)).ok_or(Unsealable)?;
        let (justification, agent) = match length & JUSTIFIED {
            0 => (None, rest),
            _ => {
                let (length, rest) = rest.split_first().ok_or(Unsealable)?;
                let (text, agent) = rest.split_at_checked(usize::from(*length)).ok_or(Unsealable)?;
                (Some(String::from_utf8_lossy(text).into_owned()), agent)
            }
        };
        let client = match address.len() {
            0 => None,
            4 => address.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
            _ => Some(address.first_chunk::<16>().map(|octets| IpAddr::from(*octets)).ok_or(Unsealable)?),
        };
        let user_agent = (!agent.is_empty()).then(|| String::from_utf8_lossy(agent).into_owned());
        Ok(Opened { client, justification, user_agent })
    }
}

impl About<'_> {
    /// The version, the id and the tenant, which is last, since it alone may be of any length.
    fn words(&self) -> ([u8; 96], usize) {
        let mut words = [0; 96];
        let parts: [&[u8]; 3] = [&[VERSION], &self.id.as_u128().to_be_bytes(), self.tenant.as_str().as_bytes()];
        let mut length = 0;
        for part in parts {
            if let Some(place) = words.get_mut(length..length + part.len()) {
                place.copy_from_slice(part);
                length += part.len();
            }
        }
        (words, length)
    }
}

/// Nothing of it.
impl fmt::Debug for Personal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(***)")
    }
}

/// Nothing of it.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(***)")
    }
}

/// How long it is.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(&self.length).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::persona;

    fn about(id: u128, tenant: &TenantId) -> About<'_> {
        About { id: id.into(), tenant }
    }

    #[test]
    fn what_is_kept_of_a_person_opens_with_its_key_for_its_request_alone() {
        let (ada, bob) = (persona(Fields::ALL), persona(Fields::ALL));
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let long = [b'u'; 400];
        for (client, agent, kept) in [
            (Some("203.0.113.9"), Some(&b"Mozilla/5.0"[..]), Some("Mozilla/5.0")),
            (Some("2001:db8::1"), None, None),
            (Some("::ffff:203.0.113.9"), Some(b""), None),
            (None, Some(b"a\xffb"), Some("a\u{fffd}b")),
            (Some("2001:db8::1"), Some(&long), Some(std::str::from_utf8(&long[..256]).unwrap())),
        ] {
            let client: Option<IpAddr> = client.map(|client| client.parse().unwrap());
            let sealed = ada
                .seal(Personal { client, user_agent: agent, justification: None }, about(7, &acme))
                .unwrap()
                .unwrap();
            assert!(sealed.as_bytes().len() <= SEALED_MAX);
            let opened = ada.open(sealed.as_bytes(), about(7, &acme)).unwrap();
            assert_eq!(opened.client, client.map(|client| client.to_canonical()));
            assert_eq!(opened.user_agent.as_deref(), kept);
            assert!(ada.open(sealed.as_bytes(), about(8, &acme)).is_err());
            assert!(ada.open(sealed.as_bytes(), about(7, &globex)).is_err());
            assert!(bob.open(sealed.as_bytes(), about(7, &acme)).is_err());
        }
    }

    #[test]
    fn a_justification_is_kept_whole_and_the_agent_gets_what_room_is_left() {
        let acme = "acme".parse().unwrap();
        let (long, agent) = ("ä".repeat(JUSTIFICATION_MAX / 2), [b'u'; 400]);
        for (client_ip, text, agent_kept) in [(false, "cardiac arrest", 241), (true, &*long, 15), (false, &*long, 15)] {
            let persona = persona(Fields { client_ip, user_agent: true });
            let client = Some("2001:db8::1".parse().unwrap());
            let personal = Personal { client, user_agent: Some(&agent), justification: Some(text) };
            let sealed = persona.seal(personal, about(7, &acme)).unwrap().unwrap();
            assert!(sealed.as_bytes().len() <= SEALED_MAX);
            let opened = persona.open(sealed.as_bytes(), about(7, &acme)).unwrap();
            assert_eq!(opened.justification.as_deref(), Some(text));
            assert_eq!(opened.client, client.filter(|_| client_ip));
            assert_eq!(opened.user_agent.map(|agent| agent.len()), Some(agent_kept));
        }
        let more = "a".repeat(JUSTIFICATION_MAX + 1);
        let personal = Personal { client: None, user_agent: None, justification: Some(&more) };
        assert!(persona(Fields::ALL).seal(personal, about(7, &acme)).is_err());
    }

    #[test]
    fn the_longest_tenant_is_sealed_whole() {
        let tenant: TenantId = "t".repeat(63).parse().unwrap();
        assert_eq!(about(u128::MAX, &tenant).words().1, 1 + 16 + 63);
    }

    #[test]
    fn what_is_not_to_be_kept_is_not() {
        let acme = "acme".parse().unwrap();
        let all =
            Personal { client: Some("203.0.113.9".parse().unwrap()), user_agent: Some(b"curl"), justification: None };
        for (client_ip, user_agent) in [(true, false), (false, true), (false, false)] {
            let persona = persona(Fields { client_ip, user_agent });
            let sealed = persona.seal(all, about(7, &acme)).unwrap();
            let opened = sealed.map(|sealed| persona.open(sealed.as_bytes(), about(7, &acme)).unwrap());
            assert_eq!(opened.as_ref().is_some_and(|opened| opened.client.is_some()), client_ip);
            assert_eq!(opened.as_ref().is_some_and(|opened| opened.user_agent.is_some()), user_agent);
        }
    }
}
