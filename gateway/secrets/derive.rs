use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

use crate::Secret;

/// What a key that comes of a root secret is for. Each has words of its own, so that no key serves two purposes and none
/// tells anything of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose<'a> {
    /// The database context tokens of one upstream.
    DatabaseContext(&'a str),
    /// Whom a hold of the subject vault is about, sealed.
    HeldNames,
    /// The signatures (RFC 9421) of requests to one upstream.
    RequestSignature(&'a str),
    /// The keyed hashes by which the subject vault finds its rows.
    SubjectNames,
    /// What the keys of tenants are wrapped with in the subject vault.
    TenantKeys,
}

impl Purpose<'_> {
    const fn words(&self) -> [&str; 2] {
        match self {
            Self::DatabaseContext(upstream) => ["cloister/database-context/v1/", upstream],
            Self::HeldNames => ["cloister/held-names/v1", ""],
            Self::RequestSignature(upstream) => ["cloister/request-signature/v1/", upstream],
            Self::SubjectNames => ["cloister/subject-names/v1", ""],
            Self::TenantKeys => ["cloister/tenant-keys/v1", ""],
        }
    }
}

/// Every key that is derived is of this length, in bytes.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// Derives 32 bytes by HKDF-SHA-256 (RFC 5869), without a salt and with the purpose as `info`. `None`: the cryptography
/// failed, which it does for no length that is asked for here.
#[must_use]
pub fn derive(root: &Secret<Vec<u8>>, purpose: Purpose<'_>) -> Option<Secret<Vec<u8>>> {
    let words = purpose.words().map(str::as_bytes);
    let mut key = vec![0; Length.len()];
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(root.expose());
    extracted.expand(&words, Length).and_then(|expanded| expanded.fill(&mut key)).ok()?;
    Some(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    fn derived(root: &[u8], purpose: Purpose<'_>) -> Vec<u8> {
        derive(&Secret::new(root.to_vec()), purpose).unwrap().expose().clone()
    }

    #[test]
    fn no_key_serves_two_purposes() {
        let mut keys = BTreeSet::new();
        let names = ["orders", "order", "s", "orders/v1/orders", ""];
        for root in [&[1; 32], &[2; 32]] {
            for name in names {
                assert!(keys.insert(derived(root, Purpose::RequestSignature(name))));
                assert!(keys.insert(derived(root, Purpose::DatabaseContext(name))));
            }
        }
        for purpose in [Purpose::HeldNames, Purpose::SubjectNames, Purpose::TenantKeys] {
            assert!(keys.insert(derived(&[1; 32], purpose)));
        }
        assert!(!keys.contains(&vec![1; 32]) && keys.len() == 4 * names.len() + 3);
    }

    /// What a backend's operator can compute with tools that are not ours.
    #[test]
    fn a_key_is_the_one_that_the_standard_describes() {
        let info = "info:cloister/request-signature/v1/orders";
        let key = "hexkey:0101010101010101010101010101010101010101010101010101010101010101";
        let arguments =
            ["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", key, "-kdfopt", info, "-binary", "HKDF"];
        let Ok(said) = Command::new("openssl").args(arguments).output() else {
            panic!("this test asks openssl, which tests/run installs");
        };
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_eq!(said.stdout, derived(&[1; 32], Purpose::RequestSignature("orders")));
    }
}
