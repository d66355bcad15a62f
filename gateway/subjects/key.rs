use std::fmt;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use secrets::Secret;
use zeroize::Zeroize as _;

use crate::chacha::hchacha20;

/// How much longer what is sealed is than what went in: the nonce before it and the tag after it.
pub(crate) const OVERHEAD: usize = NONCE + TAG;
const NONCE: usize = 24;
const TAG: usize = 16;

/// A key for XChaCha20-Poly1305. Overwritten when it is dropped.
pub(crate) struct Key(Secret<[u8; 32]>);

/// Cryptography or its randomness failed, or what was to be opened was sealed otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it was not sealed with this key for this place")]
pub struct Unsealable;

impl Key {
    pub(crate) fn by_chance() -> Result<Self, Unsealable> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| Unsealable)?;
        let key = Self(Secret::new(bytes));
        bytes.zeroize();
        Ok(key)
    }

    pub(crate) fn of(bytes: &[u8]) -> Result<Self, Unsealable> {
        Ok(Self(Secret::new(bytes.try_into().map_err(|_| Unsealable)?)))
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Seals what `place` holds behind its first 24 bytes, up to its last 16: these become nonce and tag.
    pub(crate) fn seal_in_place(&self, place: &mut [u8], about: &[u8]) -> Result<(), Unsealable> {
        let (nonce, rest) = place.split_first_chunk_mut::<NONCE>().ok_or(Unsealable)?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(Unsealable)?;
        // By chance: with 192 bits no two of one key are ever the same.
        rand::fill(nonce).map_err(|_| Unsealable)?;
        let (key, nonce) = self.for_nonce(nonce)?;
        let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(about), text).map_err(|_| Unsealable)?;
        tag.copy_from_slice(sealed.as_ref());
        Ok(())
    }

    /// The same in a buffer of its own.
    pub(crate) fn seal(&self, text: &[u8], about: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let mut place = vec![0; NONCE];
        place.reserve_exact(text.len() + TAG);
        place.extend_from_slice(text);
        place.extend_from_slice(&[0; TAG]);
        self.seal_in_place(&mut place, about)?;
        Ok(place)
    }

    /// Opens what was sealed, and answers with what it held.
    pub(crate) fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Secret<Vec<u8>>, Unsealable> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Unsealable)?;
        let (key, nonce) = self.for_nonce(nonce)?;
        let mut text = rest.to_vec();
        let length = key.open_in_place(nonce, Aad::from(about), &mut text).map_err(|_| Unsealable)?.len();
        text.truncate(length);
        Ok(Secret::new(text))
    }

    /// draft-irtf-cfrg-xchacha §2.3: the subkey takes 16 bytes of the nonce, and the others stand behind four zeros.
    fn for_nonce(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), Unsealable> {
        let (first, last) = nonce.split_first_chunk::<16>().ok_or(Unsealable)?;
        let mut subkey = hchacha20(self.0.expose(), first);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &subkey).map_err(|_| Unsealable);
        subkey.zeroize();
        let mut short = [0; 12];
        let (_, place) = short.split_at_mut(4);
        place.copy_from_slice(last);
        Ok((LessSafeKey::new(key?), Nonce::assume_unique_for_key(short)))
    }
}

/// Shows that there is a key, and nothing of it.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::bytes;

    /// draft-irtf-cfrg-xchacha-03 §A.3.1.
    #[test]
    fn what_the_draft_has_sealed_opens() {
        let key = Key::of(&bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")).unwrap();
        let about = bytes("50515253c0c1c2c3c4c5c6c7");
        let nonce = "404142434445464748494a4b4c4d4e4f5051525354555657";
        let sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
                      731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
                      2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
                      21f9664c97637da9768812f615c68b13b52e";
        let tag = "c0875924c1c7987947deafd8780acf49";
        let opened = key.open(&bytes(&format!("{nonce}{sealed}{tag}")), &about).unwrap();
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                     sunscreen would be it.";
        assert_eq!(opened.expose(), text);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_that_differs_in_a_bit_does(
            text in proptest::collection::vec(any::<u8>(), 0..300),
            about in proptest::collection::vec(any::<u8>(), 0..40),
            bit in any::<prop::sample::Index>(),
        ) {
            let (key, other) = (Key::by_chance().unwrap(), Key::by_chance().unwrap());
            let sealed = key.seal(&text, &about).unwrap();
            prop_assert_eq!(sealed.len(), text.len() + OVERHEAD);
            let opened = key.open(&sealed, &about).unwrap();
            prop_assert_eq!(opened.expose(), &text);
            let mut changed = sealed.clone();
            let bit = bit.index(sealed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(key.open(&changed, &about).is_err() && other.open(&sealed, &about).is_err());
            prop_assert!(key.open(&sealed, &[about.as_slice(), b"x"].concat()).is_err());
            prop_assert!(key.seal(&text, &about).unwrap() != sealed, "a nonce came twice");
        }
    }
}
