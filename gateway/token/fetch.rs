use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url, header};

/// Where the keys of one issuer are read from.
#[derive(Debug)]
pub(crate) enum Source {
    File(PathBuf),
    Url(Client, Url),
}

/// Why keys could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("it is longer than 1 MiB")]
    Large,
    #[error("the file could not be read")]
    Read(#[source] io::Error),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
}

/// The longest document, in bytes.
const LONGEST: usize = 1 << 20;

/// A client that goes where it is told: no redirects, no proxy from the environment, a new connection each time (one
/// that lay idle for ten minutes is likely to be dead), no waiting without end.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10))
        .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")))
        .build()
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
        }
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
