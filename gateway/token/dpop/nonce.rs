use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrets::Kept;

/// Makes nonces and knows them again without remembering any: each is a code over the time at which it is given out
/// (RFC 9449 §8, §9). Whoever has one has heard of us within the last two periods.
pub(crate) struct Nonces {
    key: Kept<NonceKey>,
    period: u64,
}

/// What nonces are made with. Gateways that share one know each other's nonces.
pub struct NonceKey {
    key: hmac::Key,
    before: Option<Before>,
}

/// The key that was used before, whose nonces are good for as long as they would have been.
struct Before {
    key: hmac::Key,
    /// When somebody first asked after it was replaced.
    since: OnceLock<u64>,
}

/// Why bytes are no key for nonces.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key for nonces has at least 32 bytes; make one with `openssl rand -hex 32`")]
pub struct InvalidNonceKey;

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    Good,
    Wrong,
}

/// Half of a code is as much as anybody could ever guess at.
const LENGTH: usize = 16;

impl NonceKey {
    /// Makes a key of a secret that is used for nothing else.
    ///
    /// # Errors
    ///
    /// [`InvalidNonceKey`] if it is short.
    pub fn new(secret: &[u8]) -> Result<Self, InvalidNonceKey> {
        if secret.len() < 32 { Err(InvalidNonceKey) } else { Ok(Self::of(secret)) }
    }

    fn of(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), before: None }
    }

    /// The same, in the place of another one. Nonces that were made with that one stay good until they are too old.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self { before: Some(Before { key: before.key.clone(), since: OnceLock::new() }), ..self }
    }

    fn by_chance() -> Self {
        let mut secret = [0; 32];
        // It fails only where the machine has no randomness at all, and then TLS has not come up either.
        let filled = rand::fill(&mut secret);
        #[expect(clippy::expect_used, reason = "a gateway without randomness must not come up")]
        filled.expect("randomness");
        Self::of(&secret)
    }
}

impl Nonces {
    pub(crate) fn new(key: Option<Kept<NonceKey>>, period: Duration) -> Self {
        Self { key: key.unwrap_or_else(|| NonceKey::by_chance().into()), period: period.as_secs().max(1) }
    }

    pub(crate) fn issue(&self, now: u64) -> String {
        URL_SAFE_NO_PAD.encode(code(&self.key.glance().key, now / self.period))
    }

    /// The one of now, the one before, and the next, which a gateway gives out whose clock is a little ahead.
    pub(crate) fn judge(&self, nonce: &str, now: u64) -> Age {
        let Ok(given) = URL_SAFE_NO_PAD.decode(nonce) else { return Age::Wrong };
        let period = now / self.period;
        let known = [Some(period), period.checked_sub(1), period.checked_add(1)];
        let is = |key: &hmac::Key| {
            let mut codes = known.iter().flatten().map(|period| code(key, *period));
            codes.any(|code| verify_slices_are_equal(&code, &given).is_ok())
        };
        let NonceKey { key, before } = &**self.key.glance();
        // FAIL CLOSED: a key that was replaced may have been replaced because others have it, and serves no longer than it must.
        let before = before.as_ref().filter(|it| now < it.since.get_or_init(|| now).saturating_add(2 * self.period));
        if is(key) || before.is_some_and(|before| is(&before.key)) { Age::Good } else { Age::Wrong }
    }
}

fn code(key: &hmac::Key, period: u64) -> [u8; LENGTH] {
    let whole = hmac::sign(key, &period.to_be_bytes());
    let mut code = [0; LENGTH];
    code.iter_mut().zip(whole.as_ref()).for_each(|(byte, whole)| *byte = *whole);
    code
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("period", &self.period).finish_non_exhaustive()
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_nonce_is_good_for_two_periods_and_only_where_it_was_made() {
        let nonces = Nonces::new(None, MINUTE);
        let nonce = nonces.issue(600);
        for (now, expected) in
            [(539, Age::Wrong), (540, Age::Good), (600, Age::Good), (719, Age::Good), (720, Age::Wrong)]
        {
            assert_eq!(nonces.judge(&nonce, now), expected, "{now}");
        }
        for wrong in
            ["", "A", "AAAAAAAAAAAAAAAAAAAAAA", &format!("{nonce}A"), nonce.get(1..).unwrap(), &format!("{nonce}==")]
        {
            assert_eq!(nonces.judge(wrong, 600), Age::Wrong, "{wrong}");
        }
        assert_eq!(Nonces::new(None, MINUTE).judge(&nonce, 600), Age::Wrong, "of another process");
        assert_eq!(nonces.judge(&nonces.issue(0), 0), Age::Good);
    }

    #[test]
    fn gateways_with_one_key_know_each_others_nonces() {
        let made = || Nonces::new(Some(NonceKey::new(&[7; 32]).unwrap().into()), MINUTE);
        assert_eq!(made().judge(&made().issue(600), 610), Age::Good);
        assert!(NonceKey::new(&[7; 31]).is_err());
    }

    #[test]
    fn what_was_made_with_the_key_before_is_good_for_two_periods_more() {
        let of = |octet| NonceKey::new(&[octet; 32]).unwrap();
        let made = |key: NonceKey| Nonces::new(Some(key.into()), MINUTE);
        let (old, new) = (made(of(7)), made(of(8).after(&of(7))));
        assert_eq!(made(of(8)).judge(&new.issue(600), 600), Age::Good, "it makes them with the new one");
        let nonce = old.issue(600);
        for (now, expected) in [(600, Age::Good), (719, Age::Good)] {
            assert_eq!(new.judge(&nonce, now), expected, "{now}");
        }
        assert_eq!(new.judge(&old.issue(720), 720), Age::Wrong, "nobody makes them with the old one any longer");
    }
}
