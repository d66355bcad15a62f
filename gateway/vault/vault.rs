use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrets::{Secret, VaultPlace};

use crate::answer::{Field, Read, Version};
use crate::client::{Client, Reply};
use crate::session::{Renewed, Session};
use crate::settings::{InvalidVault, Settings, named};
use crate::{Auth, VaultError};

/// One Vault, and who we are there.
pub struct Vault {
    client: Client,
    auth: Auth,
    session: tokio::sync::Mutex<Option<Session>>,
    told: Told,
}

/// What is told of it.
#[derive(Default)]
struct Told {
    heard: Mutex<Option<Instant>>,
    ends: Mutex<Option<Instant>>,
    fault: Mutex<Option<String>>,
    logins: AtomicU64,
    renewals: AtomicU64,
    failures: AtomicU64,
}

/// How it is with Vault.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Time since it has last answered a question as it should; `None`: it never has.
    pub silence: Option<Duration>,
    /// For how long our token is good; `None`: it has no end, or there is none.
    pub token: Option<Duration>,
    /// Why the last question was not answered, if it was not.
    pub fault: Option<String>,
    /// How often we have proven who we are.
    pub logins: u64,
    /// How often a token was made to be good for longer.
    pub renewals: u64,
    /// How often it could not be asked.
    pub failures: u64,
}

/// The secrets that values are fields of, each with the places of the values.
type Documents<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a VaultPlace>>;

/// What was found at each place.
pub type Found = BTreeMap<VaultPlace, Result<Secret<Vec<u8>>, VaultError>>;

impl Vault {
    /// One with these settings. It is not asked anything yet.
    ///
    /// # Errors
    /// The settings do not say how it is asked.
    pub fn new(settings: Settings) -> Result<Self, InvalidVault> {
        let client = Client::new(&settings)?;
        match &settings.auth {
            Auth::AppRole { mount, .. } | Auth::Kubernetes { mount, .. } => named(mount, "mount")?,
            Auth::Token(_) => {}
        }
        Ok(Self { client, auth: settings.auth, session: tokio::sync::Mutex::new(None), told: Told::default() })
    }

    /// The values at these places, as they are now: those of one secret all from one version of it. Proves who we are where that
    /// is needed.
    ///
    /// # Errors
    /// Nothing can be said of any of them: Vault cannot be asked.
    pub async fn read(&self, places: &[VaultPlace]) -> Result<Found, VaultError> {
        let mut documents = Documents::new();
        places.iter().for_each(|place| documents.entry((place.mount(), place.path())).or_default().push(place));
        let read = self.read_documents(documents).await;
        self.told.heard(read.as_ref().err());
        read
    }

    async fn read_documents(&self, documents: Documents<'_>) -> Result<Found, VaultError> {
        let mut session = self.session.lock().await;
        let (mut found, mut fresh) = (Found::new(), session.is_none());
        for ((mount, path), places) in documents {
            let mut reply = self.ask_for(self.session(&mut session).await?, mount, path).await?;
            if reply.status == StatusCode::FORBIDDEN && !fresh {
                // The token may have been taken back. Once for all that are asked for: a policy may just not let us.
                *session = None;
                fresh = true;
                reply = self.ask_for(self.session(&mut session).await?, mount, path).await?;
            }
            let name = format!("{mount}/{path}");
            let document = fields(&reply, &name);
            if let Err(error) = &document
                && error.is_outage()
            {
                return Err(document.err().unwrap_or(VaultError::Answer("none")));
            }
            for place in places {
                found.insert(place.clone(), value(document.as_ref(), place, &name));
            }
        }
        Ok(found)
    }

    /// Who we are now.
    async fn session<'s>(&self, session: &'s mut Option<Session>) -> Result<&'s Session, VaultError> {
        if session.as_ref().is_some_and(|it| it.ends.is_some_and(|ends| ends <= Instant::now())) {
            *session = None;
        }
        let started = match session.take() {
            Some(session) => session,
            None => {
                let started = Session::start(&self.client, &self.auth).await?;
                self.told.logins.fetch_add(1, Ordering::Relaxed);
                self.told.ends(started.ends);
                tracing::info!("Vault knows who we are");
                started
            }
        };
        Ok(session.insert(started))
    }

    async fn ask_for(&self, session: &Session, mount: &str, path: &str) -> Result<Reply, VaultError> {
        const NOTHING: Option<&()> = None;
        self.client.ask(Method::GET, &format!("{mount}/data/{path}"), Some(&session.token), NOTHING).await
    }

    /// Sees to it that we stay who we are, if it is time to, and gives when it is time again. Another token is asked for where
    /// the one that there is cannot be good for longer.
    ///
    /// # Errors
    /// Vault cannot be asked. The token is good until its end all the same.
    pub async fn tend(&self) -> Result<Option<Instant>, VaultError> {
        let tended = self.tend_session().await;
        if let Err(error) = &tended {
            self.told.heard(Some(error));
        }
        tended
    }

    async fn tend_session(&self) -> Result<Option<Instant>, VaultError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_mut().filter(|it| it.due.is_some_and(|due| due <= Instant::now())) {
            match session.renew(&self.client).await? {
                Renewed::Longer => {
                    self.told.renewals.fetch_add(1, Ordering::Relaxed);
                    self.told.ends(session.ends);
                    tracing::debug!("the token of Vault was renewed");
                }
                Renewed::Spent => {
                    // The old one stays until there is another.
                    let next = Session::start(&self.client, &self.auth).await?;
                    self.told.logins.fetch_add(1, Ordering::Relaxed);
                    self.told.ends(next.ends);
                    tracing::info!("Vault knows who we are, with another token");
                    *held = Some(next);
                }
            }
        }
        Ok(held.as_ref().and_then(|session| session.due))
    }

    /// How it is with Vault.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        let Told { heard, ends, fault, logins, renewals, failures } = &self.told;
        let now = Instant::now();
        Hearing {
            silence: held(heard).map(|heard| now.saturating_duration_since(heard)),
            token: held(ends).map(|ends| ends.saturating_duration_since(now)),
            fault: fault.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            logins: logins.load(Ordering::Relaxed),
            renewals: renewals.load(Ordering::Relaxed),
            failures: failures.load(Ordering::Relaxed),
        }
    }
}

fn held(time: &Mutex<Option<Instant>>) -> Option<Instant> {
    *time.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    fn heard(&self, fault: Option<&VaultError>) {
        let mut told = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *told = fault.map(|fault| terms::chain(fault));
        if fault.is_some() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        } else {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn ends(&self, ends: Option<Instant>) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }
}

/// The fields of the latest version of a secret.
fn fields(reply: &Reply, name: &str) -> Result<BTreeMap<String, Field>, VaultError> {
    let read = serde_json::from_slice::<Read>(&reply.body);
    match (reply.status, read) {
        (StatusCode::OK, Ok(Read { data: Version { data: Some(fields), metadata: Some(_) } })) => Ok(fields),
        (StatusCode::OK | StatusCode::NOT_FOUND, Ok(Read { data: Version { data: None, metadata: Some(_) } })) => {
            Err(VaultError::Deleted(name.into()))
        }
        (StatusCode::OK, _) => Err(VaultError::Answer("it is no secret of KV, version 2")),
        (StatusCode::NOT_FOUND, _) => Err(VaultError::Missing(name.into())),
        (StatusCode::FORBIDDEN, _) => Err(VaultError::Denied(name.into())),
        _ => Err(reply.fault()),
    }
}

fn value(
    document: Result<&BTreeMap<String, Field>, &VaultError>,
    place: &VaultPlace,
    name: &str,
) -> Result<Secret<Vec<u8>>, VaultError> {
    let (path, field) = (name.to_owned(), place.field().to_owned());
    match document {
        Ok(fields) => match fields.get(place.field()) {
            Some(Field::Text(text)) => Ok(Secret::new(text.expose().as_bytes().to_vec())),
            Some(Field::Other) => Err(VaultError::Form { path, field }),
            None => Err(VaultError::Field { path, field }),
        },
        Err(VaultError::Denied(_)) => Err(VaultError::Denied(path)),
        Err(VaultError::Deleted(_)) => Err(VaultError::Deleted(path)),
        Err(_) => Err(VaultError::Missing(path)),
    }
}

/// Nothing of who we are.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("auth", &self.auth).field("hearing", &self.hearing()).finish_non_exhaustive()
    }
}
