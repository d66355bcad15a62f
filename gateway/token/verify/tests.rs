use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use terms::{IssuerId, ManualClock, Reason};

use super::*;
use crate::forge::{self, Issuer as Forge};
use crate::{Algorithm, ClaimPlace, JwksSource, Profile, Unfit};

const NOW: u64 = 1_700_000_000;

mod anything;
mod claims;
mod memory;
mod notices;
mod realms;
mod rfc8725;
mod signature;
mod weak_keys;

static RSA: LazyLock<Forge> = LazyLock::new(|| Forge::rs256("rsa"));

/// One issuer, `main`, whose keys are in a file; and another, `other`, with its own.
struct Setup {
    clock: Arc<ManualClock>,
    verifier: Verifier,
    main: Forge,
    other: Forge,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (main, other) = (Forge::es256("main-1"), Forge::es256("other-1"));
        std::fs::write(folder.path().join("main"), forge::jwks([&main, &RSA])).unwrap();
        std::fs::write(folder.path().join("other"), other.jwks()).unwrap();
        let mut settings = Self::issuer("main", folder.path().join("main"));
        change(&mut settings);
        let clock = Arc::new(ManualClock::at(NOW));
        let issuers = vec![settings, Self::issuer("other", folder.path().join("other"))];
        Self {
            verifier: Verifier::new(issuers, Arc::clone(&clock) as Arc<dyn Clock>, 1_000).unwrap(),
            clock,
            main,
            other,
            folder,
        }
    }

    fn issuer(name: &str, keys: PathBuf) -> IssuerSettings {
        IssuerSettings {
            algorithms: vec![Algorithm::ES256, Algorithm::RS256],
            ..IssuerSettings::new(
                id(name),
                &format!("https://{name}.example/"),
                "api",
                Algorithm::ES256,
                JwksSource::File(keys),
            )
        }
    }

    async fn verify(&self, token: &str) -> Result<Arc<Caller>, Reason> {
        self.verifier.verify(token, &[id("main")].into()).await.map_err(TokenError::reason)
    }

    async fn reason(&self, token: &str) -> Option<Reason> {
        self.verify(token).await.err()
    }

    /// A token of `main` with its claims changed.
    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.main.sign(&claims)
    }

    fn publish(&self, keys: &str) {
        std::fs::write(self.folder.path().join("main"), keys).unwrap();
    }
}

fn id(name: &str) -> IssuerId {
    name.parse().unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://main.example/",
        "aud": "api",
        "sub": "user-1",
        "exp": NOW + 600,
        "iat": NOW,
        "tenant_id": "acme",
        "roles": ["billing_reader", "billing_admin"],
    })
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
