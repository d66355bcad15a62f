use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::InvalidReference;

/// Where a value is in Vault's KV, version 2: `MOUNT/PATH#FIELD`. A mount whose name has a slash ends with a colon:
/// `team/kv:PATH#FIELD`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VaultPlace {
    text: Arc<str>,
    mount: Arc<str>,
    path: Arc<str>,
    field: Arc<str>,
}

impl VaultPlace {
    /// The longest, in bytes.
    const MAX: usize = 400;

    /// Where the engine is mounted.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The secret, as a path below the mount.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The field of the secret that is meant.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl FromStr for VaultPlace {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (place, field) = text.split_once('#')?;
            let (mount, path) = place.split_once(':').or_else(|| place.split_once('/'))?;
            let fits = is_path(mount) && is_path(path) && is_name(field) && text.len() <= Self::MAX;
            fits.then(|| Self { text: text.into(), mount: mount.into(), path: path.into(), field: field.into() })
        };
        parts().ok_or(InvalidReference::Vault)
    }
}

// INVARIANT: nothing in it means anything in a URL, so what is asked for is what is written.
fn is_name(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    plain && !text.is_empty() && !text.bytes().all(|byte| byte == b'.')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_name)
}

impl fmt::Display for VaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_mount_a_path_and_a_field() {
        for (text, expected) in [
            ("kv/orders#hmac", Some(("kv", "orders", "hmac"))),
            ("secret/cloister/eu-1/orders.v2#next_key", Some(("secret", "cloister/eu-1/orders.v2", "next_key"))),
            ("team/kv:cloister/orders#hmac", Some(("team/kv", "cloister/orders", "hmac"))),
            ("kv:orders#hmac", Some(("kv", "orders", "hmac"))),
            ("kv#hmac", None),
            ("kv/#hmac", None),
            ("/orders#hmac", None),
            ("kv/orders", None),
            ("kv/orders#", None),
            ("kv//orders#hmac", None),
            ("kv/../sys#hmac", None),
            ("kv/./orders#hmac", None),
            ("kv/..#hmac", None),
            ("kv/%2e%2e/x#hmac", None),
            ("kv/orders?version=1#hmac", None),
            ("kv/or ders#hmac", None),
            ("kv/orders#a#b", None),
            ("kv/orders#a/b", None),
            ("a:b:c#d", None),
            ("kv/ä#hmac", None),
            ("", None),
        ] {
            let place = text.parse::<VaultPlace>();
            let parts = place.as_ref().ok().map(|place| (place.mount(), place.path(), place.field()));
            assert_eq!(parts, expected, "{text}");
            assert!(place.is_err() || place.is_ok_and(|place| place.to_string() == text));
        }
        assert!(format!("kv/{}#x", "p".repeat(400)).parse::<VaultPlace>().is_err());
    }
}
