use terms::{Subject, TenantId};

/// What the database says has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Notice {
    /// Anything.
    Everything,
    /// What one subject is in one tenant, whoever issued it.
    Member(TenantId, Subject),
    /// Anything of one tenant.
    Tenant(TenantId),
}

impl Notice {
    /// Reads the payload of a `NOTIFY`: nothing, a tenant, or a tenant and a subject.
    pub(crate) fn read(payload: &str) -> Self {
        let mut words = payload.split(' ');
        let read = match (words.next(), words.next(), words.next()) {
            (Some(tenant), None, None) => tenant.parse().ok().map(Self::Tenant),
            (Some(tenant), Some(subject), None) => {
                tenant.parse().ok().zip(subject.parse().ok()).map(|(tenant, subject)| Self::Member(tenant, subject))
            }
            _ => None,
        };
        read.unwrap_or(Self::Everything) // FAIL CLOSED: who cannot tell what has changed believes nothing any more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_means_everything() {
        let acme = || "acme".parse().unwrap();
        for (payload, expected) in [
            ("acme", Notice::Tenant(acme())),
            ("acme auth0|ada", Notice::Member(acme(), "auth0|ada".parse().unwrap())),
            ("", Notice::Everything),
            (" acme", Notice::Everything),
            ("acme ", Notice::Everything),
            ("acme  ada", Notice::Everything),
            ("acme ada lovelace", Notice::Everything),
            ("ACME", Notice::Everything),
            ("acme\tada", Notice::Everything),
            ("acme ad\u{e4}", Notice::Everything),
        ] {
            assert_eq!(Notice::read(payload), expected, "{payload:?}");
        }
    }
}
