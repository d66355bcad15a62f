use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrets::Secret;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::answer::{Granted, LoggedIn, LookedUp, Worth};
use crate::client::Client;
use crate::{Auth, VaultError};

/// The longest token of an account, in bytes.
const ACCOUNT: u64 = 64 << 10;

/// The shortest time between two looks at a token.
const SHORTEST: Duration = Duration::from_secs(1);

/// A token of Vault, and for how long it is one.
pub(crate) struct Session {
    pub(crate) token: Secret<String>,
    /// When to see to it that it goes on; `None`: it has no end.
    pub(crate) due: Option<Instant>,
    pub(crate) ends: Option<Instant>,
    renewable: bool,
    /// How long it was good at first.
    first: Duration,
}

/// What became of a token whose time had come.
pub(crate) enum Renewed {
    Longer,
    /// Another one is wanted.
    Spent,
}

/// For the token of a login that has nothing to say.
const NOTHING: Option<&()> = None;

#[derive(Serialize)]
struct AsRole<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct AsAccount<'a> {
    role: &'a str,
    jwt: &'a str,
}

impl Session {
    /// Proves who we are. What proves it is fetched anew.
    pub(crate) async fn start(client: &Client, auth: &Auth) -> Result<Self, VaultError> {
        match auth {
            Auth::AppRole { mount, role, secret } => {
                let secret = text(&secret().map_err(VaultError::Proof)?)?;
                let body = AsRole { role_id: role, secret_id: secret.expose() };
                Self::log_in(client, &format!("auth/{mount}/login"), &body).await
            }
            Auth::Kubernetes { mount, role, token } => {
                let jwt = account(token)?;
                let body = AsAccount { role, jwt: jwt.trim_end() };
                Self::log_in(client, &format!("auth/{mount}/login"), &body).await
            }
            Auth::Token(fetch) => {
                let token = text(&fetch().map_err(VaultError::Proof)?)?;
                let reply = client.ask(Method::GET, "auth/token/lookup-self", Some(&token), NOTHING).await?;
                match reply.status {
                    StatusCode::OK => {
                        let answer = serde_json::from_slice(&reply.body);
                        let LookedUp { data: Worth { ttl, renewable } } =
                            answer.map_err(|_| VaultError::Answer("it does not say what the token is worth"))?;
                        Ok(Self::of(token, Duration::from_secs(ttl), renewable))
                    }
                    status if status.is_client_error() => Err(VaultError::Login(status)),
                    _ => Err(reply.fault()),
                }
            }
        }
    }

    async fn log_in<B: Serialize + Sync>(client: &Client, path: &str, body: &B) -> Result<Self, VaultError> {
        let reply = client.ask(Method::POST, path, None, Some(body)).await?;
        match reply.status {
            StatusCode::OK => {
                let answer = serde_json::from_slice(&reply.body);
                let LoggedIn { auth: Granted { client_token, lease_duration, renewable } } =
                    answer.map_err(|_| VaultError::Answer("a login that gives no token"))?;
                Ok(Self::of(client_token, Duration::from_secs(lease_duration), renewable))
            }
            status if status.is_client_error() => Err(VaultError::Login(status)),
            _ => Err(reply.fault()),
        }
    }

    fn of(token: Secret<String>, first: Duration, renewable: bool) -> Self {
        let (due, ends) = times(first);
        Self { token, due, ends, renewable, first }
    }

    /// Lets it be good for longer, if it can be.
    pub(crate) async fn renew(&mut self, client: &Client) -> Result<Renewed, VaultError> {
        if !self.renewable {
            return Ok(Renewed::Spent);
        }
        let empty = serde_json::Map::new();
        let reply = client.ask(Method::POST, "auth/token/renew-self", Some(&self.token), Some(&empty)).await?;
        match reply.status {
            StatusCode::OK => {}
            status if status.is_client_error() => return Ok(Renewed::Spent),
            _ => return Err(reply.fault()),
        }
        let answer = serde_json::from_slice(&reply.body);
        let LoggedIn { auth: Granted { client_token: _, lease_duration, renewable } } =
            answer.map_err(|_| VaultError::Answer("a renewal that does not say for how long"))?;
        let lease = Duration::from_secs(lease_duration);
        // What comes near the longest that a token may live is given less and less time.
        if lease < self.first / 3 {
            return Ok(Renewed::Spent);
        }
        (self.due, self.ends) = times(lease);
        self.renewable = renewable;
        Ok(Renewed::Longer)
    }
}

/// After two thirds of a lease, a tenth of it sooner or later, so that gateways do not come together.
fn times(lease: Duration) -> (Option<Instant>, Option<Instant>) {
    if lease.is_zero() {
        return (None, None);
    }
    let now = Instant::now();
    let share = 0.57 + 0.1 * fastrand::f64();
    (Some(now + lease.mul_f64(share).max(SHORTEST)), Some(now + lease))
}

fn text(secret: &Secret<Vec<u8>>) -> Result<Secret<String>, VaultError> {
    let text =
        std::str::from_utf8(secret.expose()).map_err(|_| VaultError::Answer("what proves who we are is no text"))?;
    Ok(Secret::new(text.to_owned()))
}

/// The token of an account is mounted by Kubernetes for every user of the pod, so nothing is asked of its mode.
fn account(path: &Path) -> Result<Zeroizing<String>, VaultError> {
    let mut text = Zeroizing::new(String::with_capacity(ACCOUNT as usize + 1));
    let read = File::open(path).and_then(|file| file.take(ACCOUNT).read_to_string(&mut text));
    read.map_err(|source| VaultError::Account { path: path.display().to_string(), source })?;
    Ok(text)
}
