use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrets::Kept;

use crate::database::DatabaseKey;
use crate::keyring::Algorithm;
use crate::signature::Signer;
use crate::telling::Telling;

/// One backend, as far as it is told who asks.
#[derive(Debug)]
pub struct Backend {
    audience: Audience,
    binding: Binding,
    algorithm: Algorithm,
    signer: Option<Signer>,
    telling: Telling,
    token: CallersToken,
    database: Option<Kept<DatabaseKey>>,
}

/// What becomes of the caller's own token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallersToken {
    /// The backend gets it, too, and could use it as its own.
    Forwarded,
    /// It ends here.
    Kept,
}

/// What ties an assertion to one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Binding {
    /// Nothing: whoever sees an assertion can use it for any request until it expires. For closed networks, and only
    /// by a setting that says `insecure`.
    InsecureReuse,
    /// A fresh assertion for each request, with its method and path inside.
    PerRequest,
    /// An assertion that says who, used again for half of its life, and a signature that says this request.
    Reuse,
}

/// Why a backend cannot be served as its settings say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidBackend {
    /// `reuse` without a key: nothing would tie the assertion to a request.
    #[error("`binding: reuse` needs a signature that binds each request; give it a `key`, or write `per_request`")]
    Unbound,
}

impl Backend {
    /// A backend that gets assertions made out to `audience` and signed with `algorithm`, and signatures if it has a signer.
    ///
    /// # Errors
    /// [`Binding::Reuse`] without a signer.
    pub fn new(
        audience: Audience,
        binding: Binding,
        algorithm: Algorithm,
        signer: Option<Signer>,
    ) -> Result<Self, InvalidBackend> {
        match (binding, &signer) {
            (Binding::Reuse, None) => Err(InvalidBackend::Unbound),
            (Binding::InsecureReuse | Binding::PerRequest | Binding::Reuse, _) => {
                let (telling, token) = (Telling::default(), CallersToken::Kept);
                Ok(Self { audience, binding, algorithm, signer, telling, token, database: None })
            }
        }
    }

    /// The same, told claims in fields of their own, and perhaps with the caller's token.
    #[must_use]
    pub fn told(self, telling: Telling, token: CallersToken) -> Self {
        Self { telling, token, ..self }
    }

    /// The same, with a context for its database.
    #[must_use]
    pub fn with_database(self, key: Option<Kept<DatabaseKey>>) -> Self {
        Self { database: key, ..self }
    }

    pub(crate) const fn database(&self) -> Option<&Kept<DatabaseKey>> {
        self.database.as_ref()
    }

    /// Which claims it is told in fields of their own. No client may say any of them.
    #[must_use]
    pub const fn telling(&self) -> &Telling {
        &self.telling
    }

    /// What becomes of the caller's own token.
    #[must_use]
    pub const fn token(&self) -> CallersToken {
        self.token
    }

    /// What its assertions are signed with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What signs its requests.
    #[must_use]
    pub const fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    pub(crate) const fn audience(&self) -> &Audience {
        &self.audience
    }

    pub(crate) const fn binding(&self) -> Binding {
        self.binding
    }
}

/// Why a text does not name a party of an assertion.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an issuer or audience is 1 to 255 visible ascii characters")]
pub struct InvalidParty;

macro_rules! party {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        /// 1 to 255 bytes of visible ASCII; compared byte for byte (RFC 7519 §2, `StringOrURI`).
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidParty;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let fit = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
                fit.then(|| Self(text.into())).ok_or(InvalidParty)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

party!(
    /// Whom an assertion is for: the `aud` of one backend. Two backends that share one can use each other's assertions.
    Audience
);
party!(
    /// Who makes assertions: the `iss` of this gateway, as backends know it.
    Issuer
);

/// How long an assertion lives: 1 to 60 whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime(u64);

/// Why a time is not an assertion's lifetime.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an assertion lives for `1s` to `60s`, in whole seconds")]
pub struct InvalidLifetime;

impl Lifetime {
    pub(crate) const fn seconds(self) -> u64 {
        self.0
    }
}

impl TryFrom<Duration> for Lifetime {
    type Error = InvalidLifetime;

    fn try_from(span: Duration) -> Result<Self, Self::Error> {
        let fit = (1..=60).contains(&span.as_secs()) && span.subsec_nanos() == 0;
        fit.then_some(Self(span.as_secs())).ok_or(InvalidLifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reuse_that_nothing_binds_to_a_request_is_refused_unless_it_is_called_insecure() {
        let audience: Audience = "orders".parse().unwrap();
        let key = || crate::SignatureKey::new("orders", &secrets::Secret::new(vec![7; 32])).unwrap().into();
        for (binding, signer, fit) in [
            (Binding::Reuse, None, false),
            (Binding::Reuse, Some(key()), true),
            (Binding::InsecureReuse, None, true),
            (Binding::PerRequest, None, true),
            (Binding::PerRequest, Some(key()), true),
        ] {
            let backend = Backend::new(audience.clone(), binding, Algorithm::Es256, signer);
            assert_eq!(backend.is_ok(), fit, "{binding:?}");
        }
    }

    #[test]
    fn an_assertion_does_not_live_longer_than_a_minute() {
        for (milliseconds, fit) in [(1_000, true), (60_000, true), (0, false), (61_000, false), (1_500, false)] {
            assert_eq!(Lifetime::try_from(Duration::from_millis(milliseconds)).is_ok(), fit, "{milliseconds}");
        }
    }
}
