use std::collections::HashSet;

use crate::IssuerId;

/// Issuers in the order in which they were listed. Whether one is among them takes as long to say for a thousand as for
/// one: a route may accept as many as there are tenants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IssuerSet {
    listed: Vec<IssuerId>,
    all: HashSet<IssuerId>,
}

impl IssuerSet {
    /// Whether it is among them.
    #[must_use]
    pub fn contains(&self, issuer: &IssuerId) -> bool {
        self.all.contains(issuer)
    }

    /// The one that was listed first.
    #[must_use]
    pub fn first(&self) -> Option<&IssuerId> {
        self.listed.first()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &IssuerId> {
        self.listed.iter()
    }
}

/// One that is listed twice is kept once.
impl FromIterator<IssuerId> for IssuerSet {
    fn from_iter<I: IntoIterator<Item = IssuerId>>(issuers: I) -> Self {
        let mut all = HashSet::new();
        let listed = issuers.into_iter().filter(|issuer| all.insert(issuer.clone())).collect();
        Self { listed, all }
    }
}

impl From<&[IssuerId]> for IssuerSet {
    fn from(issuers: &[IssuerId]) -> Self {
        issuers.iter().cloned().collect()
    }
}

impl<const N: usize> From<[IssuerId; N]> for IssuerSet {
    fn from(issuers: [IssuerId; N]) -> Self {
        issuers.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_keep_their_order_and_are_found() {
        let id = |name: &str| -> IssuerId { name.parse().unwrap() };
        let set = IssuerSet::from([id("zeta"), id("alpha"), id("zeta")]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [&id("zeta"), &id("alpha")]);
        assert_eq!(set.first(), Some(&id("zeta")));
        assert!(set.contains(&id("alpha")) && !set.contains(&id("beta")));
        assert!(!IssuerSet::default().contains(&id("alpha")));
    }
}
