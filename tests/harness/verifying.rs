//! A backend that lets nobody in whose request was not signed with a key that it has (RFC 9421, `hmac-sha256`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::any;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// By its name; another one can be added while it runs.
pub struct Verifying {
    pub address: SocketAddr,
    state: Arc<Known>,
}

#[derive(Default)]
struct Known {
    keys: Mutex<BTreeMap<String, String>>,
    accepted: Mutex<BTreeMap<String, usize>>,
    refused: Mutex<Vec<String>>,
}

impl Verifying {
    pub async fn start() -> Self {
        let state = Arc::<Known>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&state));
        #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// Gives it a key, beside those that it has.
    pub fn knows(&self, id: &str, key: &str) {
        self.state.keys.lock().unwrap().insert(id.into(), key.into());
    }

    /// The names of the keys with which requests were signed.
    pub fn seen(&self) -> BTreeSet<String> {
        self.state.accepted.lock().unwrap().keys().cloned().collect()
    }

    /// How many requests came in.
    pub fn accepted(&self) -> usize {
        self.state.accepted.lock().unwrap().values().sum()
    }

    /// Why requests were refused.
    pub fn refused(&self) -> Vec<String> {
        self.state.refused.lock().unwrap().clone()
    }
}

async fn answer(State(known): State<Arc<Known>>, request: Request) -> StatusCode {
    match verify(&known.keys.lock().unwrap(), &request) {
        Ok(id) => {
            *known.accepted.lock().unwrap().entry(id).or_default() += 1;
            StatusCode::OK
        }
        Err(why) => {
            known.refused.lock().unwrap().push(why);
            StatusCode::FORBIDDEN
        }
    }
}

fn verify(keys: &BTreeMap<String, String>, request: &Request) -> Result<String, String> {
    let field = |name: &str| {
        let value = request.headers().get(name).ok_or(format!("no {name}"))?;
        value.to_str().map_err(|_| format!("{name} is no text"))
    };
    let parameters = field("signature-input")?.strip_prefix("cloister=").ok_or("another label")?;
    let (_, rest) = parameters.split_once(";keyid=\"").ok_or("no keyid")?;
    let (id, _) = rest.split_once('"').ok_or("half a keyid")?;
    let key = keys.get(id).ok_or(format!("no key `{id}`"))?;
    let base = format!(
        "\"@method\": {}\n\"@authority\": {}\n\"@path\": {}\n\"@query\": ?{}\n\"x-cloister-assertion\": {}\n\"@signature-params\": {parameters}",
        request.method(),
        field("host")?,
        request.uri().path(),
        request.uri().query().unwrap_or_default(),
        field("x-cloister-assertion")?,
    );
    let signature = field("signature")?.strip_prefix("cloister=:").and_then(|text| text.strip_suffix(':'));
    let signature = BASE64_STANDARD.decode(signature.ok_or("no signature")?).map_err(|error| error.to_string())?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), base.as_bytes(), &signature)
        .map_err(|_| format!("a signature of `{id}` does not verify"))?;
    Ok(id.into())
}

/// The name of a key as `orders-{sha256}` has it.
pub fn named(prefix: &str, key: &str) -> String {
    let octets = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    let digits: String = octets.as_ref().iter().take(4).map(|octet| format!("{octet:02x}")).collect();
    format!("{prefix}-{digits}")
}
