use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use tenancy::{MembershipSource, Voucher};
use terms::{ClaimName, Claimed, ClassName, IssuerId, PlanId, RetentionClass, TenantId, UpstreamId};

use crate::Upgrade;

/// The names in cloister.yaml that policies refer to.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Issuers of tokens, and what each vouches for.
    pub issuers: KnownNames<IssuerId, Voucher>,
    /// Authorities over certificates, and the tenants that each may speak for.
    pub authorities: KnownNames<IssuerId, Arc<HashSet<TenantId>>>,
    /// Claims that tokens are asked for, and the place of each among all that they are asked for.
    pub claims: KnownNames<ClaimName, KnownClaim>,
    /// Where it is written who belongs to a tenant, for issuers that do not say so themselves.
    pub directory: DirectoryAt,
    /// Where it is written which tenants there are.
    pub tenants: TenantsAt,
    /// Who counts what limits are about.
    pub counting: Counting,
    /// Backends, and what routes have to know of each.
    pub upstreams: KnownNames<UpstreamId, KnownUpstream>,
    /// How long records are kept: the classes besides the default one.
    pub classes: KnownNames<ClassName, RetentionClass>,
    /// Those of tenants that name none, by what they have bought.
    pub classes_of_plans: BTreeMap<PlanId, RetentionClass>,
}

/// A claim that tokens are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownClaim {
    /// Its place among all that they are asked for.
    pub place: usize,
    /// What it is.
    pub form: ClaimForm,
}

/// What a claim is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimForm {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    Texts,
}

impl ClaimForm {
    pub(crate) const ALL: [Self; 4] = [Self::Bool, Self::Number, Self::Text, Self::Texts];
}

/// What routes have to know of a backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownUpstream {
    /// What a connection to it may change to.
    pub upgrade: Upgrade,
    /// Whether it can tell that a request is the one that was judged.
    pub requests: Requests,
    /// The fields in which it is told claims, which nobody else writes.
    pub told: Vec<String>,
}

/// Whether the requests to a backend are signed (RFC 9421).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requests {
    /// Each of them.
    Signed,
    /// None.
    Unsigned,
}

/// Where it is written who belongs to a tenant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DirectoryAt {
    /// In a database, which is asked when a request comes. Policies know nobody of it: their tests say who they speak of.
    Database,
    /// In the policy files.
    #[default]
    Files,
}

/// Where it is written which tenants there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TenantsAt {
    /// In a table, and in the policy files. Of two words about one tenant the stricter counts.
    Database,
    /// In the policy files.
    #[default]
    Files,
}

/// Who counts what limits are about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Counting {
    /// This gateway alone.
    #[default]
    Alone,
    /// So many gateways, together in a store.
    Together(NonZeroU16),
}

impl Known {
    /// Whether every name is known with what stands behind it. Only then policies can be used.
    pub(crate) fn is_whole(&self) -> bool {
        let Self { issuers, authorities, upstreams, claims, classes, .. } = self;
        issuers.is_whole() && authorities.is_whole() && upstreams.is_whole() && claims.is_whole() && classes.is_whole()
    }

    /// A claim as it is written for a token that nobody has sent: its place, and what it says. Nothing, if the claim is broken.
    ///
    /// # Errors
    /// There is no such claim, or it is not of its type.
    pub fn claimed(&self, name: &str, value: &str) -> Result<Option<(usize, Claimed)>, String> {
        let KnownClaim { place, form } = match self.claims.look_up(name) {
            Standing::Sound(_, known) => *known,
            Standing::Unsure => return Ok(None),
            Standing::Unknown => return Err(format!("claim `{name}` is not one that tokens are asked for")),
        };
        let fits = match form {
            ClaimForm::Bool => value.parse::<bool>().is_ok(),
            ClaimForm::Number => value.parse::<i64>().is_ok(),
            ClaimForm::Text | ClaimForm::Texts => true,
        };
        match (fits, form) {
            (false, _) => Err(format!("claim `{name}` is not of its type")),
            (true, ClaimForm::Texts) => {
                let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
                Ok(Some((place, Claimed::Texts(texts.map(Into::into).collect()))))
            }
            (true, _) => Ok(Some((place, Claimed::Text(value.into())))),
        }
    }

    /// Where the members of an issuer are known from.
    pub(crate) fn members_of(&self, issuer: &IssuerId) -> Option<MembershipSource> {
        self.issuers.get(issuer.as_str()).map(|voucher| voucher.members)
    }
}

/// Names, and what stands behind each. Of a name that is broken where it is written, a policy that refers to it says
/// nothing more: its user hears of the mistake at its own place.
#[derive(Clone, Debug)]
pub struct KnownNames<N, T> {
    sound: BTreeMap<N, T>,
    broken: BTreeSet<String>,
    unread: bool,
}

/// What is known of a name.
pub(crate) enum Standing<'k, N, T> {
    /// It is there, but broken; or it may be there, but the list could not be read.
    Unsure,
    Sound(&'k N, &'k T),
    Unknown,
}

impl<N: Borrow<str> + Ord, T> KnownNames<N, T> {
    /// A list that could not be read: any name may be in it.
    #[must_use]
    pub fn unread() -> Self {
        Self { unread: true, ..Self::default() }
    }

    /// Adds a name and what stands behind it.
    pub fn insert(&mut self, name: N, what: T) {
        self.sound.insert(name, what);
    }

    /// Adds a name that is broken where it is written, or has something broken behind it.
    pub fn insert_broken(&mut self, name: &str) {
        self.broken.insert(name.to_owned());
    }

    pub(crate) fn look_up(&self, name: &str) -> Standing<'_, N, T> {
        match self.sound.get_key_value(name) {
            _ if self.unread || self.broken.contains(name) => Standing::Unsure,
            Some((name, what)) => Standing::Sound(name, what),
            None => Standing::Unknown,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.sound.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&N, &T)> {
        self.sound.iter()
    }

    /// Every name, broken or not, to suggest the nearest.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.sound.keys().map(N::borrow).chain(self.broken.iter().map(String::as_str))
    }

    fn is_whole(&self) -> bool {
        !self.unread && self.broken.is_empty()
    }
}

impl<N, T> Default for KnownNames<N, T> {
    fn default() -> Self {
        Self { sound: BTreeMap::new(), broken: BTreeSet::new(), unread: false }
    }
}

impl<N: Borrow<str> + Ord, T> FromIterator<(N, T)> for KnownNames<N, T> {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(names: I) -> Self {
        Self { sound: names.into_iter().collect(), ..Self::default() }
    }
}

/// Issuers that may speak for every tenant.
impl<const COUNT: usize> From<[(IssuerId, MembershipSource); COUNT]> for KnownNames<IssuerId, Voucher> {
    fn from(names: [(IssuerId, MembershipSource); COUNT]) -> Self {
        names.into_iter().map(|(name, members)| (name, members.into())).collect()
    }
}

/// Backends that take whatever HTTP/1.1 carries, and know nothing of signatures.
impl<const COUNT: usize> From<[UpstreamId; COUNT]> for KnownNames<UpstreamId, KnownUpstream> {
    fn from(names: [UpstreamId; COUNT]) -> Self {
        let plain = KnownUpstream { upgrade: Upgrade::WebSocket, requests: Requests::Unsigned, told: Vec::new() };
        names.into_iter().map(|name| (name, plain.clone())).collect()
    }
}
