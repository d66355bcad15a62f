use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, StatusCode, Url};
use secrets::Secret;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::settings::{InvalidVault, Settings, address, named};

/// The longest answer, in bytes.
const LONGEST: usize = 256 << 10;

/// Asks one Vault. Every question has a connection of its own: they are seconds apart, and what was said on one is soon gone.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    namespace: Option<HeaderValue>,
}

/// What was answered.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, InvalidVault> {
        let base = address(&settings.address)?;
        let namespace = match &settings.namespace {
            Some(namespace) => {
                named(namespace, "namespace")?;
                Some(HeaderValue::from_str(namespace).map_err(|_| InvalidVault::Name("namespace"))?)
            }
            None => None,
        };
        let builder = reqwest::Client::builder()
            .redirect(Policy::none()) // a token would go where somebody else says
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(settings.timeout.min(Duration::from_secs(5)))
            .timeout(settings.timeout)
            .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")));
        let builder = match &settings.ca {
            None => builder,
            Some(pem) => {
                let authorities =
                    Certificate::from_pem_bundle(pem).map_err(|error| InvalidVault::Authority(Some(error)))?;
                if authorities.is_empty() {
                    return Err(InvalidVault::Authority(None));
                }
                builder.tls_certs_only(authorities)
            }
        };
        Ok(Self { http: builder.build().map_err(InvalidVault::Client)?, base, namespace })
    }

    /// Asks. `path` is what follows `/v1/`, and has nothing in it that means anything else in a URL.
    pub(crate) async fn ask<B: Serialize + Sync>(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret<String>>,
        body: Option<&B>,
    ) -> Result<Reply, VaultError> {
        let mut url = self.base.clone();
        url.set_path(&format!("/v1/{path}"));
        let mut request = self.http.request(method, url).header(ACCEPT, "application/json");
        request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = token {
            let shown = Bytes::from_owner(Zeroizing::new(token.expose().clone().into_bytes()));
            let mut value = HeaderValue::from_maybe_shared(shown)
                .map_err(|_| VaultError::Answer("its token fits into no field"))?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(body) = body {
            // Of its final size from the start: one that grows would leave copies behind in memory.
            let mut text = Zeroizing::new(Vec::with_capacity(LONGEST));
            serde_json::to_writer(&mut *text, body)
                .map_err(|_| VaultError::Answer("the question could not be written"))?;
            request = request.header(CONTENT_TYPE, "application/json").body(Bytes::from_owner(text));
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() { VaultError::Late } else { VaultError::Request(error.without_url()) }
        };
        let mut answer = request.send().await.map_err(failed)?;
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST));
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if text.len() + chunk.len() > LONGEST {
                return Err(VaultError::Large);
            }
            text.extend_from_slice(&chunk);
        }
        Ok(Reply { status: answer.status(), body: text })
    }
}

impl Reply {
    /// What went wrong that says nothing of what was asked.
    pub(crate) fn fault(&self) -> VaultError {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => VaultError::Sealed,
            status if status.is_redirection() => VaultError::Redirect,
            status => VaultError::Status(status),
        }
    }
}
