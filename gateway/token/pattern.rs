use terms::TenantId;

use crate::Unfit;

/// How the `iss` of the issuers of many tenants is written: `https://idp.example/realms/{tenant}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern {
    prefix: String,
    suffix: String,
}

/// What stands for the name of a tenant.
const TENANT: &str = "{tenant}";

impl Pattern {
    /// `None` if this is written for one issuer and not for many.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Unfit> {
        let brace = |text: &str| text.contains(['{', '}']);
        match text.split_once(TENANT) {
            None if brace(text) => Err(Unfit::Pattern("issuer")),
            None => Ok(None),
            Some((prefix, suffix)) if prefix.is_empty() || brace(prefix) || brace(suffix) => {
                Err(Unfit::Pattern("issuer"))
            }
            Some((prefix, suffix)) => Ok(Some(Self { prefix: prefix.into(), suffix: suffix.into() })),
        }
    }

    /// The tenant whose issuer this is. Two comparisons, however many tenants there are.
    pub(crate) fn tenant_of(&self, issuer: &str) -> Option<TenantId> {
        issuer.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)?.parse().ok()
    }

    /// Whether one text could be an issuer of both. In doubt it could.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let after = |long: &str, short: &str| long.strip_prefix(short).map(str::to_owned);
        let before = |long: &str, short: &str| long.strip_suffix(short).map(str::to_owned);
        let prefixes = after(&self.prefix, &other.prefix).or_else(|| after(&other.prefix, &self.prefix));
        let suffixes = before(&self.suffix, &other.suffix).or_else(|| before(&other.suffix, &self.suffix));
        // What one has more would have to be part of a tenant's name in the other.
        let in_a_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match (prefixes.as_deref(), suffixes.as_deref()) {
            (Some(more), Some("")) | (Some(""), Some(more)) => in_a_name(more),
            (Some(_), Some(_)) => true,
            (None, _) | (_, None) => false,
        }
    }
}

/// The text with the tenant's name in it: a DNS label, so that it moves nothing in an address or a path.
pub(crate) fn filled(text: &str, tenant: &TenantId) -> String {
    text.replace(TENANT, tenant.as_str())
}

/// Whether it differs from tenant to tenant.
pub(crate) fn is_open(text: &str) -> bool {
    text.contains(TENANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_the_tenant_whose_issuer_it_is_and_no_other_text_is_one() {
        for (pattern, issuer, expected) in [
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/acme", Some("acme")),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/acme/", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/acme/x", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/../acme", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/Acme", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/acme?x", None),
            ("https://idp.example/realms/{tenant}", "https://idp.example/realms/{tenant}", None),
            ("https://idp.example/realms/{tenant}", "https://evil.example/realms/acme", None),
            ("https://{tenant}.idp.example/", "https://acme.idp.example/", Some("acme")),
            ("https://{tenant}.idp.example/", "https://acme.globex.idp.example/", None),
            ("https://{tenant}.idp.example/", "https://evil.example/.idp.example/", None),
            ("https://{tenant}.idp.example/", "https://acme@.idp.example/", None),
        ] {
            let pattern = Pattern::parse(pattern).unwrap().unwrap();
            assert_eq!(pattern.tenant_of(issuer).as_ref().map(TenantId::as_str), expected, "{issuer}");
        }
    }

    #[test]
    fn a_pattern_has_one_place_for_the_tenant_and_nothing_else_in_braces() {
        assert_eq!(Pattern::parse("https://idp.example/"), Ok(None));
        for text in [
            "{tenant}",
            "https://idp/{tenant}/{tenant}",
            "https://idp/{realm}",
            "https://idp/{tenant",
            "https://{/{tenant}",
        ] {
            assert_eq!(Pattern::parse(text), Err(Unfit::Pattern("issuer")), "{text}");
        }
    }

    #[test]
    fn two_patterns_meet_if_one_issuer_could_be_of_both() {
        let pattern = |text: &str| Pattern::parse(text).unwrap().unwrap();
        for (one, other, meet) in [
            ("https://a/{tenant}", "https://b/{tenant}", false),
            ("https://a/{tenant}/x", "https://a/{tenant}/y", false),
            ("https://a/{tenant}", "https://a/b/{tenant}", false),
            ("https://a/{tenant}", "https://a/b-{tenant}", true),
            ("https://a/{tenant}", "https://a/{tenant}/", false),
            ("https://a/{tenant}", "https://a/{tenant}-x", true),
            ("https://{tenant}.a/", "https://{tenant}.b.a/", false),
            ("https://a/{tenant}/b", "https://a/b/{tenant}", true),
            ("https://a/{tenant}", "https://a/{tenant}", true),
        ] {
            assert_eq!(pattern(one).meets(&pattern(other)), meet, "{one} {other}");
        }
    }
}
