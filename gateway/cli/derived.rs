//! Keys that come of the root, as both sides have them.

use std::fmt::Write as _;

use secrets::{Purpose, Secret, derive};

/// The key as text, 64 hexadecimal digits: what `cloister keys derive` prints is the key, byte for byte, as it is with one
/// that is given in a file. `None`: the cryptography failed.
pub(crate) fn text(root: &Secret<Vec<u8>>, purpose: Purpose<'_>) -> Option<Secret<Vec<u8>>> {
    let octets = derive(root, purpose)?;
    // Enough, so that no copy is left behind by growing.
    let mut text = String::with_capacity(2 * octets.expose().len());
    octets.expose().iter().try_for_each(|octet| write!(text, "{octet:02x}")).ok()?;
    Some(Secret::new(text.into_bytes()))
}
