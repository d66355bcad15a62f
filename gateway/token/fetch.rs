use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url, header};
use terms::{is_loopback_name, is_private};

use crate::json::{Bounds, Json, parse_object};
use crate::settings::{address, is_on_this_machine};
use crate::{Reach, Unfit};

/// Where the keys of one issuer are read from.
#[derive(Debug)]
pub(crate) enum Source {
    /// At the address that this document names.
    Discovery {
        client: Client,
        document: Url,
        issuer: String,
        reach: Reach,
    },
    File(PathBuf),
    Url(Client, Url),
}

/// Why keys could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("it is longer than 1 MiB")]
    Large,
    #[error("the discovery document is not one: {0}")]
    Discovery(&'static str),
    #[error("the discovery document names an address that is not asked")]
    Elsewhere(#[source] Unfit),
    #[error("the file could not be read")]
    Read(#[source] io::Error),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
}

/// The longest document, in bytes.
const LONGEST: usize = 1 << 20;

/// How much of a discovery document is looked at.
const DOCUMENT: Bounds = Bounds { depth: 16, values: 10_000 };

/// A client for keys. A new connection each time: one that lay idle for ten minutes is likely to be dead.
pub(crate) fn client(reach: Reach) -> reqwest::Result<Client> {
    builder(reach).pool_max_idle_per_host(0).timeout(Duration::from_secs(10)).build()
}

/// A client for questions about tokens, which come often: it keeps connections for a while. Who asks sets the time.
pub(crate) fn asking(reach: Reach) -> reqwest::Result<Client> {
    builder(reach).pool_max_idle_per_host(16).pool_idle_timeout(Duration::from_secs(15)).build()
}

/// Goes where it is told: no redirects, no proxy from the environment, no waiting without end.
fn builder(reach: Reach) -> reqwest::ClientBuilder {
    let builder = match reach {
        Reach::Private => Client::builder(),
        Reach::Public => Client::builder().dns_resolver(Arc::new(PublicNames)),
    };
    builder
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")))
}

impl Source {
    pub(crate) async fn read(&self) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || read_file(&path)).await;
                reading.map_err(|gone| FetchError::Read(io::Error::other(gone)))?
            }
            Self::Url(client, url) => get(client, url).await,
            Self::Discovery { client, document, issuer, reach } => {
                let url = located(&get(client, document).await?, document, issuer, *reach)?;
                get(client, &url).await
            }
        }
    }
}

/// Where the keys are, as a discovery document says (OpenID Connect Discovery 1.0 §4.3). It must be the issuer's own: else
/// whoever may put a file on its host could speak for it.
pub(crate) fn located(document: &[u8], from: &Url, issuer: &str, reach: Reach) -> Result<Url, FetchError> {
    let document = parse_object(document, DOCUMENT).map_err(|_| FetchError::Discovery("it is not a json object"))?;
    let text = |name: &str| document.get(name).and_then(Json::as_text);
    if text("issuer") != Some(issuer) {
        return Err(FetchError::Discovery("its `issuer` is another one"));
    }
    let place = text("jwks_uri").ok_or(FetchError::Discovery("it has no `jwks_uri`"))?;
    let url = address(place, reach, "jwks_uri").map_err(FetchError::Elsewhere)?;
    // FAIL CLOSED: that we may ask this machine is for the operator to say, and not for a document from elsewhere.
    if reach == Reach::Public && is_on_this_machine(&url) && !is_on_this_machine(from) {
        return Err(FetchError::Elsewhere(Unfit::Private("jwks_uri")));
    }
    Ok(url)
}

/// Looks names up, and believes no answer that is of a private network.
#[derive(Debug)]
pub(crate) struct PublicNames;

/// Why a name is not believed.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for {0}, which is private; `private_addresses` allows that")]
struct PrivateName(IpAddr);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // FAIL CLOSED: of an answer that lies in one address none is believed.
            let private = found.iter().map(SocketAddr::ip).find(|ip| is_private(*ip));
            match private.filter(|_| !is_loopback_name(name.as_str())) {
                Some(ip) => Err(PrivateName(ip).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(FetchError::Read)?;
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(FetchError::Read)?;
    match bytes.len() {
        0..=LONGEST => Ok(bytes),
        _ => Err(FetchError::Large),
    }
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let request = client.get(url.clone()).header(header::ACCEPT, "application/jwk-set+json, application/json");
    let failed = |error: reqwest::Error| FetchError::Request(error.without_url());
    let mut answer = request.send().await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > LONGEST {
            return Err(FetchError::Large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
