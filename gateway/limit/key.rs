use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::time::SystemTime;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{self, Hasher128 as _};
use terms::{Claimed, IssuerId, PlanId, RouteId, Subject, TenantId, Zone};

/// What a budget may belong to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyPart {
    /// The API key by which a program has proven itself.
    ApiKey,
    /// A claim of the token, by its place in [`Asker::claims`].
    Claim(usize),
    /// The address that the connection came from: for IPv6 its /64, which is what one subscriber has.
    ClientIp,
    /// Who vouches for the caller.
    Issuer,
    /// What the request names somewhere, by its place in [`Asker::named`]. Nobody has verified it.
    Named(usize),
    /// The role whose grant has let the caller in.
    Role,
    /// The route that the request matched.
    Route,
    /// The tenant.
    Tenant,
    /// The subject, together with its issuer: two issuers may name different people alike.
    User,
}

/// Who asks, as far as it is known. A limit whose key needs what is not known charges one budget that all such share.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The tenant, once it is resolved.
    pub tenant: Option<&'a TenantId>,
    /// What the tenant has bought: it decides which numbers of a limit count.
    pub plan: Option<&'a PlanId>,
    /// The caller, once the token is verified.
    pub user: Option<(&'a IssuerId, &'a Subject)>,
    /// What the API key is called, if one was shown.
    pub api_key: Option<&'a str>,
    /// The role whose grant has let the caller in.
    pub role: Option<&'a str>,
    /// What the token claims, of that which somebody wants to know.
    pub claims: &'a [Claimed],
    /// What the request names in fields and in its path, of that which somebody wants to know.
    pub named: &'a [Option<&'a str>],
    /// The other end of the connection, or who a trusted proxy says it is.
    pub client_ip: IpAddr,
    /// When it asks, by the calendar.
    pub at: SystemTime,
    /// Whose days and months count for it; those of UTC, if nothing is said about that.
    pub zone: Option<&'a Zone>,
    /// The route, once there is one.
    pub route: Option<&'a RouteId>,
}

impl<'a> Asker<'a> {
    /// Somebody of whom nothing is known but where they are.
    #[must_use]
    pub const fn stranger(client_ip: IpAddr, route: Option<&'a RouteId>, at: SystemTime) -> Self {
        Self {
            tenant: None,
            plan: None,
            user: None,
            api_key: None,
            role: None,
            claims: &[],
            named: &[],
            client_ip,
            at,
            zone: None,
            route,
        }
    }
}

/// The key under which budgets are told apart. Whoever keeps what was used of quotas keeps it, too.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64, u64);

impl Seed {
    /// One that nobody knows: of the randomness that the standard library takes for its own tables.
    #[must_use]
    pub fn random() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Self(random(), random())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        ((self.0 as u128) << 64 | self.1 as u128).to_be_bytes()
    }
}

impl From<[u8; 16]> for Seed {
    fn from(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self((both >> 64) as u64, both as u64)
    }
}

/// The longest name of which a request may have a budget of its own, in bytes.
const LONGEST: usize = 256;

/// The name of one budget within one limit: a keyed hash of the parts.
///
/// 64 bits under a key that is drawn at random (SipHash 1-3) are enough: among a million live
/// keys two are alike with a chance of 3 in 100 million, and all that would follow is that two askers share one budget.
/// Nobody can aim for it without the key, and no answer depends on it visibly. Never 0, which marks an empty slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// `None`: a part of the key is not known.
    pub(crate) fn of(parts: &[KeyPart], asker: &Asker<'_>, seed: Seed) -> Option<Self> {
        let mut hasher = SipHasher13::new_with_keys(seed.0, seed.1);
        feed(&mut hasher, parts, asker)?;
        Some(Self(hasher.finish().max(1)))
    }

    /// One that was noted before; 0 for none.
    pub(crate) fn noted(key: u64) -> Option<Self> {
        (key != 0).then_some(Self(key))
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// What one budget is called where several gateways look for it. `None`: a part of the key is not known.
///
/// All gateways have to find the same, so that the key of the hash is no secret; it has 128 bits instead, so that nobody finds a
/// name of their own that is called like somebody else's.
pub(crate) fn shared_name(parts: &[KeyPart], asker: &Asker<'_>) -> Option<u128> {
    let mut hasher =
        sip128::SipHasher13::new_with_keys(u64::from_be_bytes(*b"cloister"), u64::from_be_bytes(*b" limits "));
    feed(&mut hasher, parts, asker)?;
    Some(hasher.finish128().as_u128())
}

fn feed<H: Hasher>(hasher: &mut H, parts: &[KeyPart], asker: &Asker<'_>) -> Option<()> {
    // Each text ends with a byte that none of them can have, so that no two lists of parts run together.
    let text = |hasher: &mut H, text: &str| {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    };
    let mut address = None;
    for part in parts {
        match part {
            KeyPart::ApiKey => text(hasher, asker.api_key?),
            KeyPart::Claim(place) => match asker.claims.get(*place)? {
                Claimed::Text(claimed) => text(hasher, claimed),
                Claimed::Absent | Claimed::Texts(_) | Claimed::Unfit => return None,
            },
            KeyPart::ClientIp => address = Some(network(asker.client_ip)),
            KeyPart::Issuer => text(hasher, asker.user?.0.as_str()),
            // Letters of either case are one: backends often take a name in both, and each spelling would have its own budget.
            KeyPart::Named(place) => {
                let named = asker.named.get(*place).copied().flatten()?;
                let named = Some(named.trim()).filter(|named| (1..=LONGEST).contains(&named.len()))?;
                named.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
                hasher.write_u8(0xff);
            }
            KeyPart::Role => text(hasher, asker.role?),
            KeyPart::Route => text(hasher, asker.route?.as_str()),
            KeyPart::Tenant => text(hasher, asker.tenant?.as_str()),
            KeyPart::User => {
                let (issuer, subject) = asker.user?;
                text(hasher, issuer.as_str());
                text(hasher, subject.as_str());
            }
        }
    }
    if let Some(network) = address {
        hasher.write(&network.to_le_bytes());
    }
    Some(())
}

/// An IPv4 address whole (also where it is written as `::ffff:192.0.2.1`), an IPv6 address without its lower 64 bits.
/// The two cannot meet: an IPv4 address stands in the lower half, with a mark above it.
fn network(address: IpAddr) -> u128 {
    const IPV4: u128 = 1 << 32;
    match address.to_canonical() {
        IpAddr::V4(address) => IPV4 | u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_belongs_to_its_parts_and_to_nobody_else() {
        let seed = Seed::random();
        let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let (main, other): (IssuerId, IssuerId) = ("main".parse().unwrap(), "other".parse().unwrap());
        let (ada, bob): (Subject, Subject) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let route: RouteId = "invoices".parse().unwrap();
        let claims = |text: &str| [Claimed::Absent, Claimed::Text(text.into())];
        let (org, another_org) = (claims("org-1"), claims("org-2"));
        let all = [
            KeyPart::Tenant,
            KeyPart::User,
            KeyPart::ClientIp,
            KeyPart::Route,
            KeyPart::ApiKey,
            KeyPart::Role,
            KeyPart::Claim(1),
            KeyPart::Named(0),
        ];
        let asker = Asker {
            tenant: Some(&acme),
            user: Some((&main, &ada)),
            api_key: Some("k-1"),
            role: Some("viewer"),
            claims: &org,
            named: &[Some("Ada")],
            ..Asker::stranger([192, 0, 2, 1].into(), Some(&route), SystemTime::UNIX_EPOCH)
        };
        let of = |parts: &[KeyPart], asker: &Asker<'_>| Fingerprint::of(parts, asker, seed);
        let own = of(&all, &asker);
        assert_eq!(own, of(&all, &asker.clone()));
        for another in [
            Asker { tenant: Some(&globex), ..asker },
            Asker { user: Some((&main, &bob)), ..asker },
            Asker { user: Some((&other, &ada)), ..asker },
            Asker { client_ip: [192, 0, 2, 2].into(), ..asker },
            Asker { api_key: Some("k-2"), ..asker },
            Asker { role: Some("clerk"), ..asker },
            Asker { claims: &another_org, ..asker },
            Asker { named: &[Some("adam")], ..asker },
        ] {
            assert_ne!(own, of(&all, &another), "{another:?}");
            assert_eq!(of(&[KeyPart::Route], &asker), of(&[KeyPart::Route], &another));
        }
        assert_eq!(own, of(&all, &Asker { named: &[Some(" aDA ")], ..asker }), "one account in two spellings");
        let long = "a".repeat(LONGEST + 1);
        let of_issuer = |user| of(&[KeyPart::Issuer], &Asker { user, ..asker });
        assert_eq!(of_issuer(Some((&main, &ada))), of_issuer(Some((&main, &bob))));
        assert_ne!(of_issuer(Some((&main, &ada))), of_issuer(Some((&other, &ada))));
        assert_eq!(of_issuer(None), None);
        for missing in [
            Asker { tenant: None, ..asker },
            Asker { user: None, ..asker },
            Asker { api_key: None, ..asker },
            Asker { role: None, ..asker },
            Asker { claims: &[], ..asker },
            Asker { route: None, ..asker },
            Asker { named: &[], ..asker },
            Asker { named: &[None], ..asker },
            Asker { named: &[Some(" ")], ..asker },
            Asker { named: &[Some(&long)], ..asker },
            Asker { claims: &[Claimed::Text("org-1".into()), Claimed::Absent], ..asker },
            Asker { claims: &[Claimed::Text("org-1".into()), Claimed::Unfit], ..asker },
        ] {
            assert_eq!(of(&all, &missing), None, "{missing:?}");
        }
    }

    #[test]
    fn texts_of_neighbouring_parts_do_not_run_together() {
        let seed = Seed::random();
        let name = |text: &str| -> (TenantId, RouteId) { (text.parse().unwrap(), text.parse().unwrap()) };
        let ((ab, _), (a, _), (_, c), (_, bc)) = (name("ab"), name("a"), name("c"), name("bc"));
        let of = |tenant, route| {
            let asker =
                Asker { tenant: Some(tenant), ..Asker::stranger([0; 4].into(), Some(route), SystemTime::UNIX_EPOCH) };
            Fingerprint::of(&[KeyPart::Tenant, KeyPart::Route], &asker, seed)
        };
        assert_ne!(of(&ab, &c), of(&a, &bc));
    }

    #[test]
    fn an_address_counts_as_the_network_that_one_client_has() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::1", "0.0.0.1", false),
            ("::c000:201", "192.0.2.1", false),
        ] {
            let network = |text: &str| network(text.parse().unwrap());
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
    }
}
