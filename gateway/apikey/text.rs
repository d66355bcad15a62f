use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

/// A key that was just made. Its text is shown once, and kept nowhere.
///
/// `clk_`, a name of twelve characters, `_`, and a secret of 32 with a checksum of six behind it: whoever looks for secrets in
/// texts finds it by its beginning, and knows by the checksum that it is one, without asking anybody.
pub struct NewKey {
    /// What whoever uses it must show.
    pub text: String,
    /// What it is called. No secret.
    pub id: Box<str>,
    /// What is kept of it: SHA-256 of the text. The secret has 190 bits of chance, so nobody finds it by trying, and a slow
    /// hash would only let strangers keep us busy.
    pub digest: [u8; 32],
}

const PREFIX: &str = "clk_";
const ID: usize = 12;
const SECRET: usize = 32;
const CHECKSUM: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl NewKey {
    /// A new one.
    #[must_use]
    pub fn by_chance() -> Self {
        let (id, secret) = (by_chance(ID), by_chance(SECRET));
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}{}", checksum(&body));
        Self { digest: digest_of(&text), id: id.into(), text }
    }
}

/// The name in a text that looks like a key.
pub(crate) fn id(text: &str) -> Option<&str> {
    let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let (body, check) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && id.len() == ID && rest.len() == SECRET + CHECKSUM && checksum(body) == *check).then_some(id)
}

pub(crate) fn digest_of(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn checksum(body: &str) -> String {
    let mut left = crc32c::crc32c(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get(left % ALPHABET.len()).copied().unwrap_or(b'0');
        left /= ALPHABET.len();
    }
    digits.iter().copied().map(char::from).collect()
}

/// Each character with the same chance: bytes beyond a multiple of 62 are drawn again.
#[expect(clippy::expect_used, reason = "a key that is not by chance must not be made")]
fn by_chance(length: usize) -> String {
    let fair = u8::try_from(256 / ALPHABET.len() * ALPHABET.len()).unwrap_or(u8::MAX);
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        rand::fill(&mut bytes).expect("randomness");
        let fair = bytes.iter().filter(|byte| **byte < fair).filter_map(|byte| ALPHABET.get(usize::from(*byte) % 62));
        text.extend(fair.take(length - text.len()).copied().map(char::from));
    }
    text
}

/// A key is a secret: it is not printed.
impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_name_and_that_it_is_one() {
        let NewKey { text, id, digest } = NewKey::by_chance();
        assert_eq!((text.len(), super::id(&text)), (55, Some(&*id)), "{text}");
        assert_eq!(digest, digest_of(&text));
        assert_ne!(NewKey::by_chance().text, text);
        assert!(!format!("{:?}", NewKey { text: text.clone(), id: id.clone(), digest }).contains(&text));
        // A character that was mistyped, left out or put in.
        for (at, _) in text.char_indices().skip(PREFIX.len()) {
            let (before, after) = text.split_at(at);
            let (first, rest) = after.split_at(1);
            let other = if first == "x" { "y" } else { "x" };
            for wrong in [format!("{before}{other}{rest}"), format!("{before}{rest}"), format!("{before}x{after}")] {
                assert_eq!(super::id(&wrong), None, "{wrong}");
            }
        }
        for wrong in ["", "clk_", "clk__", "Bearer x", "eyJhbGciOi.e30.AA", &format!("{text} "), &text.to_uppercase()] {
            assert_eq!(super::id(wrong), None, "{wrong}");
        }
    }
}
