mod unfit;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrets::{Kept, Secret};
use terms::{IssuerId, TenantId, is_loopback_name, is_private};

pub(crate) use unfit::faults;
pub use unfit::{SettingsError, Unfit};

use crate::header::Kind;
use crate::pattern::{filled, is_open};
use crate::{Algorithm, ClaimPlace, ClientKey, TokenError, ToldClaim};

/// One issuer of tokens: what it must say, and what is believed of it.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// What `cloister.yaml` calls it.
    pub id: IssuerId,
    /// The `iss` claim, to the byte. No two issuers may share one. With `{tenant}` in it these are the issuers of all
    /// tenants, each of which speaks for its tenant alone; where keys are then has `{tenant}` in it, too.
    pub issuer: String,
    /// The most issuers of a pattern that are loaded at once.
    pub max_tenants: usize,
    /// Who we are: a token must name one of these in `aud`.
    pub audiences: Vec<String>,
    /// How it may sign.
    pub algorithms: Vec<Algorithm>,
    /// Where its public keys are.
    pub jwks: JwksSource,
    /// How it is asked about tokens that are no JWTs, or are JWTs of its while it has no keys.
    pub introspection: Option<IntrospectionSettings>,
    /// Where they may be fetched from.
    pub reach: Reach,
    /// How often they are fetched anew. A file is looked at every few seconds in any case.
    pub refresh: Duration,
    /// How long keys may be used after they were last fetched well.
    pub max_stale: Duration,
    /// Where its tokens name the tenant.
    pub tenant_claim: ClaimPlace,
    /// Whether that is the tenant, or a list of them.
    pub tenant_naming: TenantNaming,
    /// Where its tokens name the roles.
    pub roles_claim: ClaimPlace,
    /// The claims that backends are told in fields of their own.
    pub wanted: Arc<[ToldClaim]>,
    /// What its tokens have to be.
    pub profile: Profile,
    /// The longest that a token of its may be good for, from `iat` to `exp`. As long as it says, if there is none.
    pub max_lifetime: Option<Duration>,
    /// What is taken from it of what it says about sessions that have ended; nothing, if it says nothing of the kind.
    pub notices: Option<NoticeSettings>,
    /// How far its clock and ours may differ. At most five minutes; parts of a second are not counted.
    pub leeway: Duration,
    /// The longest token, in bytes.
    pub max_token_bytes: usize,
    /// The most claims in a token.
    pub max_claims: usize,
}

/// What is taken of what an issuer says about sessions that have ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoticeSettings {
    /// Who we are there (`aud`).
    pub audiences: Vec<String>,
    /// The most revocations that it may have at a time; where each tenant has an issuer, each of these. The next one takes
    /// back all that it has issued so far.
    pub max_revocations: u64,
}

/// What the tokens of an issuer have to be, besides signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// JWTs that do not say that they are something else. Most issuers name no type; their ID tokens differ from their
    /// access tokens by `aud` alone.
    #[default]
    Jwt,
    /// Access tokens of RFC 9068: with the type `at+jwt`, and with `client_id`, `iat` and `jti`.
    AtJwt,
}

/// How many tenants a token of an issuer's names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TenantNaming {
    /// The one that it is for.
    #[default]
    One,
    /// All to which its bearer belongs: host, path or a header of a request say which one it is about.
    Several,
}

/// Where public keys come from: a JWK set (RFC 7517 §5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JwksSource {
    /// A file, watched.
    File(PathBuf),
    /// The document at which the issuer says where they are (OpenID Connect Discovery 1.0 §4), below its `iss`.
    Discovery,
    /// Nowhere: it is asked about each of its tokens.
    None,
    /// An address, fetched. `https`, or `http` on this machine.
    Url(String),
}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Clone, Debug)]
pub struct IntrospectionSettings {
    /// Where it is asked: an address like those of keys.
    pub url: String,
    /// As whom we ask.
    pub client: ClientCredentials,
    /// Where it may be asked.
    pub reach: Reach,
    /// How long its word that a token is good is enough, at most five minutes; parts of a second are not counted.
    pub remember: Duration,
    /// How long an answer may take, at most ten seconds.
    pub timeout: Duration,
    /// About how many tokens it is asked at once.
    pub concurrency: usize,
}

/// As whom we ask an issuer (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Our name there.
    pub id: String,
    /// How we prove it.
    pub authentication: ClientAuthentication,
}

/// How a client proves itself to an issuer (OpenID Connect Core 1.0 §9).
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// `client_secret_basic`: a secret in the field `Authorization`.
    Basic(Kept<Secret<Vec<u8>>>),
    /// `client_secret_post`: a secret in the form.
    Post(Kept<Secret<Vec<u8>>>),
    /// `private_key_jwt`: a short word in the form that is signed with a key, so that nothing that is secret leaves us.
    PrivateKey {
        /// Which key.
        key: Kept<ClientKey>,
        /// What the issuer is called in it (`aud`).
        audience: String,
    },
}

/// Where keys may be fetched from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// Also from addresses that are nobody's in particular.
    Private,
    /// From addresses that everybody reaches, and from this machine where the address itself says so.
    #[default]
    Public,
}

impl IssuerSettings {
    /// An issuer with one audience and one algorithm, and the defaults for the rest: keys fetched every ten minutes and
    /// used for at most an hour, claims `tenant_id` and `roles`, 30 seconds of leeway, 8 KiB, 64 claims.
    #[must_use]
    pub fn new(id: IssuerId, issuer: &str, audience: &str, algorithm: Algorithm, jwks: JwksSource) -> Self {
        Self {
            id,
            issuer: issuer.into(),
            max_tenants: 10_000,
            audiences: vec![audience.into()],
            algorithms: vec![algorithm],
            jwks,
            introspection: None,
            reach: Reach::Public,
            refresh: Duration::from_secs(600),
            max_stale: Duration::from_secs(3_600),
            tenant_claim: ClaimPlace::Claim("tenant_id".into()),
            tenant_naming: TenantNaming::One,
            roles_claim: ClaimPlace::Claim("roles".into()),
            wanted: Arc::default(),
            profile: Profile::Jwt,
            max_lifetime: None,
            notices: None,
            leeway: Duration::from_secs(30),
            max_token_bytes: 8 * 1_024,
            max_claims: 64,
        }
    }
}

/// No issuer may allow longer tokens, in bytes.
pub(crate) const LONGEST_TOKEN: usize = 65_536;

/// Where keys are, as far as the settings say it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Located {
    Discovery(Url),
    File(PathBuf),
    Nowhere,
    Url(Url),
}

impl IssuerSettings {
    /// Whether it stands for one issuer for each tenant.
    #[must_use]
    pub fn is_of_tenants(&self) -> bool {
        is_open(&self.issuer)
    }

    fn notices_fit(&self) -> bool {
        let fit = |notices: &NoticeSettings| {
            let NoticeSettings { audiences, max_revocations } = notices;
            !audiences.is_empty()
                && !audiences.iter().any(String::is_empty)
                && (1..=1_000_000).contains(max_revocations)
        };
        self.notices.as_ref().is_none_or(|notices| fit(notices) && self.max_lifetime.is_some())
    }

    /// Where keys are; if this is a pattern, where those of some tenant would be.
    fn located(&self) -> Result<Located, Unfit> {
        let open = match &self.jwks {
            JwksSource::File(path) => path.to_str().is_some_and(is_open),
            JwksSource::Url(text) => is_open(text),
            JwksSource::Discovery => is_open(&self.issuer),
            JwksSource::None => return Ok(Located::Nowhere),
        };
        match (is_open(&self.issuer), open) {
            (true, false) => Err(Unfit::KeysInCommon),
            (false, true) => Err(Unfit::Pattern("jwks")),
            (false, false) => self.place(),
            (true, true) => {
                let tenant: TenantId = "tenant".parse().map_err(|_| Unfit::Pattern("issuer"))?;
                self.of_tenant(&tenant).place()
            }
        }
    }

    pub(crate) fn takes(&self, kind: Kind) -> Result<(), TokenError> {
        match (self.profile, kind) {
            (Profile::Jwt, Kind::Jwt | Kind::AccessToken) | (Profile::AtJwt, Kind::AccessToken) => Ok(()),
            // Whoever asks for a notice has no use for anything else.
            (_, Kind::Event | Kind::Logout) => Err(TokenError::Header("it is a notice, and lets nobody in")),
            (Profile::AtJwt, Kind::Jwt) => Err(TokenError::Header("`typ` is not `at+jwt`, as this issuer's must be")),
        }
    }

    pub(crate) fn allows(&self, algorithm: Algorithm) -> Result<(), TokenError> {
        match self.algorithms.contains(&algorithm) {
            true => Ok(()),
            false => Err(TokenError::Algorithm("it is not allowed for this issuer")),
        }
    }

    /// Those of one tenant, of a pattern's.
    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> Self {
        Self {
            issuer: filled(&self.issuer, tenant),
            jwks: match &self.jwks {
                JwksSource::Discovery => JwksSource::Discovery,
                JwksSource::None => JwksSource::None,
                JwksSource::File(path) => JwksSource::File(filled(&path.to_string_lossy(), tenant).into()),
                JwksSource::Url(text) => JwksSource::Url(filled(text, tenant)),
            },
            ..self.clone()
        }
    }

    pub(crate) fn place(&self) -> Result<Located, Unfit> {
        match &self.jwks {
            JwksSource::File(path) => Ok(Located::File(path.clone())),
            JwksSource::None => Ok(Located::Nowhere),
            JwksSource::Url(text) => address(text, self.reach, "jwks.url").map(Located::Url),
            JwksSource::Discovery => {
                let below = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
                address(&below, self.reach, "issuer").map(Located::Discovery)
            }
        }
    }
}

/// The address, if keys may be fetched from it. What a name in it stands for is looked at when it is looked up.
pub(crate) fn address(text: &str, reach: Reach, what: &'static str) -> Result<Url, Unfit> {
    let url: Url = text.parse().map_err(|_| Unfit::Url(what))?;
    let host = url.host_str().ok_or(Unfit::Url(what))?;
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let this_machine = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    let scheme_fits = url.scheme() == "https" || (url.scheme() == "http" && this_machine);
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !scheme_fits || !anonymous {
        return Err(Unfit::Url(what));
    }
    match reach {
        Reach::Public if !this_machine && ip.is_some_and(is_private) => Err(Unfit::Private(what)),
        Reach::Public | Reach::Private => Ok(url),
    }
}

/// Whether an address says itself that it is on this machine.
pub(crate) fn is_on_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        is_loopback_name(host) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for (text, good) in [
            ("https://idp.example.com/jwks.json", true),
            ("http://127.0.0.1:8080/jwks.json", true),
            ("http://[::1]:8080/jwks.json", true),
            ("http://localhost/jwks.json", true),
            ("http://idp.example.com/jwks.json", false),
            ("http://localhost.example.com/jwks.json", false),
            ("http://10.0.0.1/jwks.json", false),
            ("https://10.0.0.1/jwks.json", false),
            ("https://169.254.169.254/latest", false),
            ("https://[fd00::1]/jwks.json", false),
            ("https://user:pass@idp.example.com/", false),
            ("file:///etc/passwd", false),
            ("ftp://idp.example.com/", false),
            ("jwks.json", false),
            ("", false),
        ] {
            assert_eq!(address(text, Reach::Public, "jwks.url").is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_private_address_is_one_only_if_that_is_said() {
        assert_eq!(address("https://10.0.0.1/", Reach::Public, "issuer"), Err(Unfit::Private("issuer")));
        assert!(address("https://10.0.0.1/", Reach::Private, "issuer").is_ok());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let file = JwksSource::File("keys.json".into());
        let good = IssuerSettings::new("a".parse().unwrap(), "https://a/", "api", Algorithm::ES256, file);
        assert_eq!(faults(std::slice::from_ref(&good), 1), []);
        let bad = IssuerSettings {
            algorithms: vec![],
            audiences: vec![String::new()],
            jwks: JwksSource::Url("http://idp.example.com".into()),
            refresh: Duration::ZERO,
            leeway: Duration::from_secs(301),
            max_token_bytes: 0,
            max_claims: 0,
            ..good.clone()
        };
        let stale = IssuerSettings {
            max_stale: Duration::ZERO,
            id: "b".parse().unwrap(),
            issuer: String::new(),
            ..good.clone()
        };
        let error = SettingsError { faults: faults(&[good, bad, stale], 0) };
        let named: Vec<_> = error.faults.iter().map(|(_, fault)| fault.clone()).collect();
        assert_eq!(
            named,
            [
                Unfit::Algorithms,
                Unfit::Audiences,
                Unfit::Claims,
                Unfit::Id,
                Unfit::Issuer,
                Unfit::Leeway,
                Unfit::Refresh,
                Unfit::TokenBytes,
                Unfit::Url("jwks.url"),
                Unfit::Issuer,
                Unfit::MaxStale,
                Unfit::Cache,
            ]
        );
        assert!(error.to_string().starts_with("issuer `a`: `algorithms` is empty; issuer `a`: "), "{error}");
    }
}
