use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use secrets::Secret;
use terms::{Binding, IssuerId, Place, TenantId};
use token::{
    ClaimPlace, ClientAuthentication, ClientCredentials, ClientKey, IntrospectionSettings, IssuerSettings, JwksSource,
    NoticeSettings, Profile, Reach, TenantNaming,
};
use yaml::{At, Named};

use super::Compiler;
use crate::settings::file;

/// Where an issuer may be asked.
const fn reach(private_addresses: bool) -> Reach {
    if private_addresses { Reach::Private } else { Reach::Public }
}

/// What stands for a tenant's name.
const TENANT: &str = "{tenant}";

impl Compiler<'_> {
    pub(super) fn issuers(
        &mut self,
        entries: Vec<Named<file::Issuer>>,
    ) -> (Vec<IssuerSettings>, BTreeMap<IssuerId, Place>) {
        let (mut issuers, mut places) = (Vec::new(), BTreeMap::new());
        for Named { name, entry } in entries {
            let id: Option<IssuerId> = self.parse(&name);
            if name.value == apikey::ISSUER {
                self.error(&name, "this name stands for API keys".into(), "call the issuer something else");
            }
            let (Some(id), Some(entry)) = (id, entry) else { continue };
            places.insert(id.clone(), name.spot.place(self.file));
            issuers.extend(self.issuer(id, entry));
        }
        (issuers, places)
    }

    fn issuer(&mut self, id: IssuerId, entry: file::Issuer) -> Option<IssuerSettings> {
        let file::Issuer {
            issuer,
            max_tenants,
            audiences,
            algorithms,
            jwks,
            introspection,
            tenant_claim,
            tenants_claim,
            roles_claim,
            profile,
            max_lifetime,
            notices,
            leeway,
            tenants,
            members: _,
            bound_to,
            dpop_nonce: _,
        } = entry;
        if jwks.is_none() && introspection.is_none() {
            let help = "give `jwks` for JWTs, `introspection` for tokens that it is asked about, or both";
            self.error(&issuer, "nothing says how tokens of this issuer are verified".into(), help);
            return None;
        }
        if let Some(written) = algorithms.first().filter(|_| jwks.is_none()) {
            let help = "leave `algorithms` out, or give `jwks`";
            self.error(written, "without keys no token of this issuer is verified here".into(), help);
        }
        let introspection = match introspection {
            Some(written) => Some(self.introspection(&id, &issuer, written)?),
            None => None,
        };
        let source = match &jwks {
            Some(jwks) => self.source(&issuer, jwks)?,
            None => JwksSource::None,
        };
        if let Some(tenants) = &tenants {
            if tenants.value.is_empty() {
                let help = "list the tenants that its tokens may speak for, or leave it out for all";
                self.error(tenants, "an issuer that may speak for nobody".into(), help);
            }
            for tenant in &tenants.value {
                let _known: Option<TenantId> = self.parse(tenant); // its users are in `reading.rs`
            }
        }
        if let Some(written) = max_tenants.as_ref().filter(|_| !issuer.value.contains(TENANT)) {
            let help = "leave it out, or write `{tenant}` in `issuer`";
            self.error(written, "this is one issuer, and not those of many tenants".into(), help);
        }
        if let Some(bound_to) = &bound_to {
            if bound_to.value.is_empty() {
                self.error(bound_to, "no token is bound to nothing".into(), "leave it out to take tokens as they come");
            }
            for binding in &bound_to.value {
                let _known: Option<Binding> = self.parse(binding); // its users are in `reading.rs`
            }
        }
        if let (Some(_), Some(several)) = (&tenant_claim, &tenants_claim) {
            self.error(
                several,
                "tokens name one tenant or list several".into(),
                "keep `tenant_claim` or `tenants_claim`",
            );
        }
        let tenant_naming = if tenants_claim.is_some() { TenantNaming::Several } else { TenantNaming::One };
        let tenant_claim = tenants_claim.or(tenant_claim);
        let tenant_claim = self.claim(tenant_claim, "tenant_id");
        let roles_claim = self.claim(roles_claim, "roles");
        let profile = match profile {
            file::Profile::Jwt => Profile::Jwt,
            file::Profile::AtJwt => Profile::AtJwt,
        };
        let max_lifetime = max_lifetime.map(|written| {
            if written.value.0.is_zero() {
                self.error(&written, "no token is good for no time".into(), "leave it out, or write `15m`");
            }
            written.value.0
        });
        Some(IssuerSettings {
            id,
            issuer: issuer.value,
            max_tenants: max_tenants.map_or(10_000, |written| written.value as usize),
            audiences,
            algorithms: algorithms.into_iter().map(|algorithm| algorithm.value).collect(),
            jwks: source,
            introspection,
            reach: reach(jwks.as_ref().is_some_and(|jwks| jwks.private_addresses)),
            refresh: jwks.as_ref().map_or(file::refresh().0, |jwks| jwks.refresh.0),
            max_stale: jwks.as_ref().map_or(file::max_stale().0, |jwks| jwks.max_stale.0),
            tenant_claim: tenant_claim?,
            tenant_naming,
            roles_claim: roles_claim?,
            wanted: Arc::default(), // known once all upstreams are
            profile,
            max_lifetime,
            notices: notices.map(|notices| NoticeSettings {
                audiences: notices.audiences.into_iter().map(|audience| audience.value).collect(),
                max_revocations: u64::from(notices.max_revocations),
            }),
            leeway: leeway.0,
            max_token_bytes: 8 << 10,
            max_claims: 64,
        })
    }

    fn introspection(
        &mut self,
        id: &IssuerId,
        issuer: &At<String>,
        written: file::Introspection,
    ) -> Option<IntrospectionSettings> {
        let authentication = self.authentication(id, issuer, &written)?;
        let file::Introspection { url, client_id, private_addresses, remember, timeout, concurrency, .. } = written;
        Some(IntrospectionSettings {
            url: url.value,
            client: ClientCredentials { id: client_id, authentication },
            reach: reach(private_addresses),
            remember: remember.0,
            timeout: timeout.0,
            concurrency: usize::from(concurrency),
        })
    }

    /// How we prove who we are; what goes with another way is an error.
    fn authentication(
        &mut self,
        id: &IssuerId,
        issuer: &At<String>,
        written: &file::Introspection,
    ) -> Option<ClientAuthentication> {
        let file::Introspection { client_secret, client_key, client_key_id, audience, authentication, url, .. } =
            written;
        let chosen = authentication.as_ref().map(|written| written.value).unwrap_or_default();
        let signs = chosen == file::Authentication::PrivateKeyJwt;
        let of_key = [client_key, client_key_id, audience].into_iter().flatten();
        let unused: Vec<_> = if signs { client_secret.iter().collect() } else { of_key.collect() };
        for written in &unused {
            let help = "keep `client_secret`, or `client_key` with `authentication: private_key_jwt`";
            self.error(written, "it goes with another `authentication`".into(), help);
        }
        let Some(reference) = (if signs { client_key } else { client_secret }) else {
            let (message, help) = match signs {
                true => {
                    ("nothing says with which key we sign", "give `client_key`: \"${file:/path}\" or \"${env:NAME}\"")
                }
                false => {
                    ("nothing says what our secret is", "give `client_secret`: \"${file:/path}\" or \"${env:NAME}\"")
                }
            };
            self.error(url, message.into(), help);
            return None;
        };
        let given = self.secret(reference)?;
        if signs {
            let setting = format!("issuers.{id}.introspection.client_key");
            let kid = client_key_id.as_ref().map(|kid| kid.value.clone());
            let make = move |text: Secret<Vec<u8>>, _: Option<&ClientKey>| {
                ClientKey::parse(&text, kid.as_deref()).map_err(|invalid| invalid.to_string())
            };
            let key = self.kept(&setting, reference, given, make)?;
            let audience = audience.as_ref().map_or_else(|| issuer.value.clone(), |audience| audience.value.clone());
            return Some(ClientAuthentication::PrivateKey { key, audience });
        }
        let setting = format!("issuers.{id}.introspection.client_secret");
        let secret = self.kept(&setting, reference, given, |secret, _: Option<&Secret<Vec<u8>>>| Ok(secret))?;
        Some(match chosen {
            file::Authentication::ClientSecretPost => ClientAuthentication::Post(secret),
            file::Authentication::ClientSecretBasic | file::Authentication::PrivateKeyJwt => {
                ClientAuthentication::Basic(secret)
            }
        })
    }

    fn source(&mut self, issuer: &At<String>, jwks: &file::Jwks) -> Option<JwksSource> {
        let file::Jwks { file, url, discovery, .. } = jwks;
        match (file, url, discovery) {
            (Some(file), None, None) => {
                // With a tenant's name in it, it is looked for when its first token comes.
                if !file.value.contains(TENANT)
                    && let Err(error) = std::fs::metadata(&file.value)
                {
                    let message = format!("`{}` cannot be read: {error}", file.value);
                    self.error(file, message, "a file with a JWK Set (RFC 7517 §5)");
                }
                Some(JwksSource::File(PathBuf::from(&file.value)))
            }
            (None, Some(url), None) => Some(JwksSource::Url(url.value.clone())),
            (None, None, Some(document)) => match document.value {
                file::Discovery::Oidc => Some(JwksSource::Discovery),
            },
            (None, None, None) => {
                let message = "nothing says where the keys of this issuer are".into();
                self.error(issuer, message, "give `jwks` a `file`, a `url` or `discovery: oidc`");
                None
            }
            (Some(one), _, _) | (None, Some(one), Some(_)) => {
                let message = "more than one of `file`, `url` and `discovery` say where the keys are".into();
                self.error(one, message, "keep one of them");
                None
            }
        }
    }

    /// Where a claim stands; this one, if nothing is written.
    fn claim(&mut self, written: Option<At<String>>, unwritten: &str) -> Option<ClaimPlace> {
        match written {
            Some(written) => self.parse(&written),
            None => unwritten.parse().ok(),
        }
    }
}
