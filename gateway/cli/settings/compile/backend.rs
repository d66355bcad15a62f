use assertion::{Algorithm, Audience, Backend, Binding, CallersToken, DatabaseKey, SignatureKey, Signer};
use aws_lc_rs::digest::{SHA256, digest};
use secrets::{Kept, Purpose, Secret, Use};
use terms::{Finding, Place};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use yaml::At;

use super::{Compiler, Given};
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn backend(&mut self, name: &At<String>, entry: file::UpstreamAssertion) -> Option<Backend> {
        let signs = entry.signs();
        let file::UpstreamAssertion {
            audience,
            algorithm,
            binding,
            signature,
            key,
            key_id,
            next_key,
            fields,
            database,
            forward_token,
        } = entry;
        let telling = self.telling(fields);
        let database = match database {
            None => None,
            Some(database) => Some(self.database(name, database)?),
        };
        let token = if forward_token { CallersToken::Forwarded } else { CallersToken::Kept };
        let audience: Option<Audience> = self.parse(audience.as_ref().unwrap_or(name));
        let shared = Shared { key, key_id, next_key };
        let signer = match signature.as_ref().map(|signature| signature.value) {
            None if !signs => None,
            None | Some(file::SignatureAlgorithm::HmacSha256) => Some(self.shared_signer(name, shared)?),
            Some(file::SignatureAlgorithm::EcdsaP256Sha256) => Some(self.own_signer(Algorithm::Es256, &shared)?),
            Some(file::SignatureAlgorithm::Ed25519) => Some(self.own_signer(Algorithm::EdDsa, &shared)?),
        };
        let algorithm = match algorithm {
            file::AssertionAlgorithm::EdDsa => Algorithm::EdDsa,
            file::AssertionAlgorithm::Es256 => Algorithm::Es256,
            file::AssertionAlgorithm::Rs256 => Algorithm::Rs256,
        };
        let binding = match binding {
            file::Binding::InsecureReuse => Binding::InsecureReuse,
            file::Binding::PerRequest => Binding::PerRequest,
            file::Binding::Reuse => Binding::Reuse,
        };
        let backend = Backend::new(audience?, binding, algorithm, signer);
        let backend = backend.map_err(|invalid| self.note(name, invalid.to_string())).ok()?;
        Some(backend.told(telling?, token).with_database(database))
    }

    fn database(&mut self, name: &At<String>, written: file::Database) -> Option<Kept<DatabaseKey>> {
        let file::Database { key, id } = written;
        let id = id.as_ref().unwrap_or(name);
        let Some(key) = key else {
            let secret = self.derived(name, Purpose::DatabaseContext(&name.value))?;
            let key = DatabaseKey::new(&id.value, &secret);
            return key.map(Kept::from).map_err(|error| self.note(id, terms::chain(&error))).ok();
        };
        let given = self.key_for(&key, &format!("the database contexts for `{}`", name.value))?;
        let (setting, called) = (format!("upstreams.{}.assertion.database.key", name.value), id.value.clone());
        let make = move |secret: Secret<Vec<u8>>, _: Option<&DatabaseKey>| {
            DatabaseKey::new(&called, &secret).map_err(|error| error.to_string())
        };
        self.kept(&setting, id, given, make)
    }

    /// Keys of the gateway's own, so none that is given.
    fn own_signer(&mut self, algorithm: Algorithm, shared: &Shared) -> Option<Signer> {
        let Shared { key, key_id, next_key } = shared;
        let spot =
            [key, key_id].into_iter().flatten().map(|at| at.spot).chain(next_key.as_ref().map(|at| at.spot)).next();
        if let Some(spot) = spot {
            let message = "signatures of a pair are made with keys of the gateway's own";
            let finding = Finding::error(spot.place(self.file), message);
            self.findings.push(finding.help("take it away, or write `signature: hmac-sha256`"));
            return None;
        }
        Signer::pair(algorithm).ok() // by the type of the setting it is one of the two that can be
    }

    fn shared_signer(&mut self, name: &At<String>, shared: Shared) -> Option<Signer> {
        let Shared { key, key_id, next_key } = shared;
        let id = key_id.as_ref().unwrap_or(name);
        let setting = format!("upstreams.{}.assertion", name.value);
        let first = match &key {
            Some(key) => {
                let given = self.key_for(key, &format!("the signatures for `{}`", name.value));
                given.and_then(|given| self.signature_key(&format!("{setting}.key"), key, &id.value, given))
            }
            None => {
                let secret = self.derived(name, Purpose::RequestSignature(&name.value));
                let key = secret.map(|secret| SignatureKey::new(&id.value, &secret));
                let key = key.and_then(|key| key.map_err(|error| self.note(name, terms::chain(&error))).ok());
                key.map(Kept::from)
            }
        };
        let next = match next_key {
            None => None,
            Some(At { spot, value: file::NextKey { id, key, from } }) => {
                let what = format!("the next signatures for `{}`", name.value);
                let given = self.key_for(&key, &what)?;
                let next = self.signature_key(&format!("{setting}.next_key.key"), &key, &id.value, given)?;
                let Ok(time) = OffsetDateTime::parse(&from.value, &Rfc3339) else {
                    let message = format!("`{}` is not a time", from.value);
                    self.error(&from, message, "for example `2026-12-01T00:00:00Z`");
                    return None;
                };
                Some((At { spot, value: () }, u64::try_from(time.unix_timestamp()).unwrap_or_default(), next))
            }
        };
        let spot = next.as_ref().map_or(name.spot, |(at, ..)| at.spot);
        let signer = Signer::shared(first?, next.map(|(_, from, next)| (from, next)));
        signer.map_err(|invalid| self.note(&At { spot, value: () }, invalid.to_string())).ok()
    }

    fn signature_key(&mut self, setting: &str, at: &At<String>, id: &str, given: Given) -> Option<Kept<SignatureKey>> {
        let id = id.to_owned();
        let make = move |secret: Secret<Vec<u8>>, _: Option<&SignatureKey>| {
            SignatureKey::new(&id, &secret).map_err(|error| error.to_string())
        };
        self.kept(setting, at, given, make)
    }

    /// The key of one backend that comes of the root.
    pub(super) fn derived(&mut self, name: &At<String>, purpose: Purpose<'_>) -> Option<Secret<Vec<u8>>> {
        let Some(root) = &self.root else {
            let message = "nothing says which key this backend shares with us".into();
            self.error(name, message, "give it a `key`, or `assertion` a `root`");
            return None;
        };
        crate::derived::text(root, purpose)
    }

    /// Fetches a secret that is a key for one purpose. One that is a key for another already is an error.
    pub(super) fn key_for(&mut self, written: &At<String>, what: &str) -> Option<Given> {
        let given = self.secret(written)?;
        let known = self.keys.insert(digest(&SHA256, given.secret.expose()).as_ref().to_vec(), what.to_owned());
        if let Some(other) = known {
            let message = format!("this is the key of {other} as well");
            self.error(written, message, "no key serves two purposes: make another one, `openssl rand -hex 32`");
            return None;
        }
        Some(Given { value: Use::Alone, ..given })
    }

    pub(super) fn note<T>(&mut self, at: &At<T>, message: String) {
        let place: Place = at.spot.place(self.file);
        self.findings.push(Finding::error(place, message));
    }
}

/// What is written about a key that a backend has, too.
struct Shared {
    key: Option<At<String>>,
    key_id: Option<At<String>>,
    next_key: Option<At<file::NextKey>>,
}
