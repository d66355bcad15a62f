use std::fmt;
use std::sync::Arc;

use terms::{Claimed, IssuerId, RoleName, Subject, TenantId};

use crate::claims::Claims;
use crate::issuer::Voice;
use crate::json::Json;
use crate::{Belonging, ClaimPlace, Confirmation, TenantNaming, TokenError};

/// Whom a verified token speaks of, whether it proves itself or its issuer was asked about it. Only
/// [`Verifier::verify`](crate::Verifier::verify) makes one: whoever holds it need
/// not ask again whether the token was good, only whether it still is (`expires_at`), and what the bearer may do.
pub struct Caller {
    issuer: IssuerId,
    vouched_by: IssuerId,
    realm: Option<TenantId>,
    subject: Subject,
    tenant: Option<Box<str>>,
    belongings: Option<Box<[Belonging]>>,
    roles: Arc<[RoleName]>,
    roles_dropped: usize,
    expires_at: u64,
    good_until: u64,
    fingerprint: [u8; 32],
    jti: Option<Box<str>>,
    sid: Option<Box<str>>,
    issued_at: Option<u64>,
    acr: Option<Box<str>>,
    amr: Box<[Box<str>]>,
    auth_time: Option<u64>,
    confirmation: Confirmation,
    claimed: Box<[Claimed]>,
    scopes: Option<Box<str>>,
}

/// The longest text taken from a claim, in bytes.
const LONGEST: usize = 255;
const MOST_ROLES: usize = 64;
const MOST_METHODS: usize = 16;
const MOST_SCOPES: usize = 64;
const LONGEST_SCOPES: usize = 2_048;

impl Caller {
    /// Reads the claims of a token whose signature has been verified, or what its issuer says of it. `now` is in seconds
    /// since the Unix epoch.
    ///
    /// A token has expired when `now >= exp + leeway`, and is not valid yet when `now + leeway < nbf` (or `iat`). `exp`
    /// and `iat` lose their fraction, `nbf` is rounded up, so that rounding never makes a token live longer.
    pub(crate) fn believe(claims: &Claims, by: Voice<'_>, now: u64, fingerprint: [u8; 32]) -> Result<Self, TokenError> {
        let issuer = by.settings;
        let leeway = issuer.leeway.as_secs();
        if claims.events()?.is_some() {
            return Err(TokenError::Claims("it tells of events, and lets nobody in")); // RFC 8417 §4.6
        }
        let expires_at =
            claims.date("exp", "`exp` is not a date")?.ok_or(TokenError::Claims("`exp` is missing"))?.floor();
        let good_until = expires_at.saturating_add(leeway);
        if now >= good_until {
            return Err(TokenError::Expired);
        }
        let not_before = claims.date("nbf", "`nbf` is not a date")?.map_or(0, |date| date.ceil());
        let issued_at = claims.date("iat", "`iat` is not a date")?.map(|date| date.floor());
        if let Some(longest) = issuer.max_lifetime {
            // FAIL CLOSED: what does not say since when it is good could be good for ever.
            let since = issued_at
                .ok_or(TokenError::Claims("`iat` is missing, and this issuer's tokens have a longest life"))?;
            if expires_at.saturating_sub(since) > longest.as_secs() {
                return Err(TokenError::Claims("it is good for longer than this issuer's tokens may be"));
            }
        }
        if now.saturating_add(leeway) < not_before.max(issued_at.unwrap_or_default()) {
            return Err(TokenError::NotYet);
        }
        let audiences = claims
            .texts("aud", "`aud` is neither a text nor a list of texts")?
            .ok_or(TokenError::Claims("`aud` is missing"))?;
        if !audiences.iter().any(|given| issuer.audiences.iter().any(|ours| ours == given)) {
            return Err(TokenError::Audience);
        }
        let subject = claims
            .text("sub", Subject::MAX, "`sub` is not a text of at most 255 bytes")?
            .ok_or(TokenError::Claims("`sub` is missing"))?
            .parse()
            .map_err(|_| TokenError::Claims("`sub` is empty or has other characters than visible ascii"))?;
        let (tenant, belongings) = match issuer.tenant_naming {
            TenantNaming::One => {
                let error = "the tenant is not a text of at most 255 bytes";
                let named = claims.text_at(&issuer.tenant_claim, LONGEST, error)?;
                // A realm is one tenant's, so its tokens need not say whose they are. Those that do are held to it later.
                (named.or(by.realm.map(TenantId::as_str)).map(Into::into), None)
            }
            TenantNaming::Several => (None, Some(Belonging::read(claims, &issuer.tenant_claim)?)),
        };
        let (roles, roles_dropped) = roles(claims, &issuer.roles_claim)?;
        Ok(Self {
            issuer: issuer.id.clone(),
            vouched_by: by.name.clone(),
            realm: by.realm.cloned(),
            subject,
            tenant,
            belongings,
            roles,
            roles_dropped,
            expires_at,
            good_until,
            fingerprint,
            jti: claims.text("jti", LONGEST, "`jti` is not a text of at most 255 bytes")?.map(Into::into),
            sid: claims.text("sid", LONGEST, "`sid` is not a text of at most 255 bytes")?.map(Into::into),
            issued_at,
            acr: claims.text("acr", LONGEST, "`acr` is not a text of at most 255 bytes")?.map(Into::into),
            amr: methods(claims)?,
            auth_time: claims.date("auth_time", "`auth_time` is not a date")?.map(|date| date.floor()),
            confirmation: Confirmation::read(claims)?,
            claimed: issuer.wanted.iter().map(|wanted| wanted.of(claims)).collect(),
            scopes: scopes(claims),
        })
    }

    /// Which issuer vouches, as `cloister.yaml` calls it: what rules go by.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// Which issuer vouches, told from all others: what subjects are told apart by. It differs from [`Caller::issuer`]
    /// where one name stands for the issuers of many tenants.
    #[must_use]
    pub const fn vouched_by(&self) -> &IssuerId {
        &self.vouched_by
    }

    /// The only tenant that the issuer speaks for, where one name stands for the issuers of many tenants.
    #[must_use]
    pub const fn realm(&self) -> Option<&TenantId> {
        self.realm.as_ref()
    }

    /// Who acts, unique within the issuer that [`Caller::vouched_by`] names.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What the issuer's tenant claim says, as text: `tenancy` decides whether that is a tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The tenants that the token lists, where its issuer lists them: then [`Caller::tenant`] names none.
    #[must_use]
    pub fn belongings(&self) -> Option<&[Belonging]> {
        self.belongings.as_deref()
    }

    /// What the issuer's roles claim says. Names that cannot be a role's are left out: no policy can speak of them.
    #[must_use]
    pub const fn roles(&self) -> &Arc<[RoleName]> {
        &self.roles
    }

    /// How many names were left out of [`Caller::roles`].
    #[must_use]
    pub const fn roles_dropped(&self) -> usize {
        self.roles_dropped
    }

    /// `exp`, in whole seconds since the Unix epoch, without leeway.
    #[must_use]
    pub const fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// `exp` and the issuer's leeway: from this second on the token is refused.
    #[must_use]
    pub const fn good_until(&self) -> u64 {
        self.good_until
    }

    /// SHA-256 of the token's text. It names this text, not the grant behind it: an ECDSA signature can be rewritten
    /// into a second one that is valid too, so revocation goes by `jti`, subject or time.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The token's own name (RFC 7519 §4.1.7).
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// The session that it belongs to (OpenID Connect Front-Channel Logout 1.0 §3).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// When it was issued (RFC 7519 §4.1.6), in whole seconds since the Unix epoch.
    #[must_use]
    pub const fn issued_at(&self) -> Option<u64> {
        self.issued_at
    }

    /// How sure the issuer is of the subject (RFC 9068 §2.2.1).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// How the subject proved itself (RFC 8176).
    #[must_use]
    pub const fn amr(&self) -> &[Box<str>] {
        &self.amr
    }

    /// When the subject proved itself, in seconds since the Unix epoch.
    #[must_use]
    pub const fn auth_time(&self) -> Option<u64> {
        self.auth_time
    }

    /// What whoever uses it must show besides.
    #[must_use]
    pub const fn confirmation(&self) -> &Confirmation {
        &self.confirmation
    }

    /// What became of the claims that backends are to be told, in the order of [`crate::IssuerSettings::wanted`].
    #[must_use]
    pub const fn claimed(&self) -> &[Claimed] {
        &self.claimed
    }

    /// What the token may be used for (`scope`, RFC 8693 §4.2, or `scp`), with a space between each two. `None`, if it says
    /// something that is no such list.
    #[must_use]
    pub fn scopes(&self) -> Option<&str> {
        self.scopes.as_deref()
    }

    /// About how many bytes this takes, with all that hangs on it.
    pub(crate) fn bytes(&self) -> usize {
        let texts =
            [&self.tenant, &self.jti, &self.sid, &self.acr, &self.scopes].into_iter().flatten().chain(&self.amr);
        let claimed = self.claimed.iter().map(|claimed| match claimed {
            Claimed::Text(text) => text.len() + size_of::<Claimed>(),
            Claimed::Texts(texts) => {
                texts.iter().map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>() + size_of::<Claimed>()
            }
            Claimed::Absent | Claimed::Unfit => size_of::<Claimed>(),
        });
        size_of::<Self>()
            + claimed.sum::<usize>()
            + self.subject.as_str().len()
            + texts.map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>()
            + self.roles.iter().map(|role| role.as_str().len() + 48).sum::<usize>()
            + self.belongings.iter().flatten().map(belonging_bytes).sum::<usize>()
    }

    /// A caller that no token stands for: for the tests of other parts.
    ///
    /// # Panics
    ///
    /// When a text is not what it should be.
    #[cfg(any(test, feature = "test"))]
    #[expect(clippy::expect_used, reason = "tests give good names")]
    #[must_use]
    pub fn for_test(issuer: &str, subject: &str, tenant: Option<&str>, roles: &[&str], expires_at: u64) -> Arc<Self> {
        Arc::new(Self {
            issuer: issuer.parse().expect("an issuer"),
            vouched_by: issuer.parse().expect("an issuer"),
            realm: None,
            subject: subject.parse().expect("a subject"),
            tenant: tenant.map(Into::into),
            belongings: None,
            roles: roles.iter().map(|role| role.parse().expect("a role")).collect(),
            roles_dropped: 0,
            expires_at,
            good_until: expires_at,
            fingerprint: [0; 32],
            jti: None,
            sid: None,
            issued_at: None,
            acr: None,
            amr: Box::default(),
            auth_time: None,
            confirmation: Confirmation::default(),
            claimed: Box::default(),
            scopes: Some(Box::default()),
        })
    }
}

fn belonging_bytes(belonging: &Belonging) -> usize {
    let roles = belonging.roles.iter().flat_map(|roles| roles.iter());
    size_of::<Belonging>() + belonging.tenant.len() + roles.map(|role| role.as_str().len() + 48).sum::<usize>()
}

/// Says which issuer, not who: a caller may end up in a log.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// A list of names, or one text with spaces between them. A name that is no role's is dropped, since no role of that
/// name can exist.
fn roles(claims: &Claims, place: &ClaimPlace) -> Result<(Arc<[RoleName]>, usize), TokenError> {
    role_names(&claims.words_at(place, "the roles are neither a text nor a list of texts")?)
}

/// The roles of these names, and how many are none.
pub(crate) fn role_names(names: &[&str]) -> Result<(Arc<[RoleName]>, usize), TokenError> {
    let roles: Arc<[RoleName]> = names.iter().filter_map(|name| name.parse().ok()).collect();
    match roles.len() {
        // FAIL CLOSED: a role left out could be the one that forbids.
        count if count > MOST_ROLES => Err(TokenError::Claims("there are more than 64 roles")),
        count => Ok((roles, names.len() - count)),
    }
}

/// FAIL CLOSED: of what cannot be read nobody says that nothing is in it.
fn scopes(claims: &Claims) -> Option<Box<str>> {
    let value = claims.get("scope").or_else(|| claims.get("scp"));
    let words: Vec<&str> = match (value, value.and_then(Json::as_text)) {
        (None, _) => Vec::new(),
        (Some(_), Some(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        (Some(Json::List(items)), None) => items.iter().map(Json::as_text).collect::<Option<_>>()?,
        (Some(_), None) => return None,
    };
    let is_scope = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = words.len() <= MOST_SCOPES && words.iter().all(is_scope);
    let text = words.join(" ");
    (fits && text.len() <= LONGEST_SCOPES).then(|| text.into())
}

fn methods(claims: &Claims) -> Result<Box<[Box<str>]>, TokenError> {
    let error = "`amr` is not a list of at most 16 texts of at most 255 bytes";
    let methods = claims.texts("amr", error)?.unwrap_or_default();
    if methods.len() > MOST_METHODS || methods.iter().any(|method| method.len() > LONGEST) {
        return Err(TokenError::Claims(error));
    }
    Ok(methods.into_iter().map(Into::into).collect())
}
