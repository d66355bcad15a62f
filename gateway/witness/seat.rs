use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tlog::{AddCheckpoint, Checkpoint, Hash, KeyKind, Note, Signature, VerifierKey};

/// How long a witness may take for one answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const LONGEST: usize = 16 << 10;

/// How many times it is asked again from where it says that it is.
const TRIES: u32 = 3;

/// A witness that is asked.
#[derive(Clone, Debug)]
pub struct Seat {
    name: String,
    url: Url,
    key: VerifierKey,
    client: Client,
}

/// Why a witness cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSeat {
    /// The address is not one of HTTP.
    #[error("it is not an address such as https://witness.example.com/")]
    Address,
    /// Questions would be readable on the way.
    #[error("the address is neither https nor of this machine")]
    Plain,
    /// The key is one of a log.
    #[error("the key is not that of a witness (cosignature/v1)")]
    Key,
    /// There is no client.
    #[error("it cannot be asked")]
    Client(#[from] reqwest::Error),
}

/// What a witness is asked to sign, and by what it is convinced.
pub struct Asked<'a> {
    /// The checkpoint.
    pub note: &'a Note,
    /// What it says.
    pub checkpoint: &'a Checkpoint,
    /// The proof that it goes on from a smaller one of this size.
    pub prove: &'a (dyn Fn(u64) -> Option<Vec<Hash>> + Sync),
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("checkpoint", self.checkpoint).finish_non_exhaustive()
    }
}

/// Why a witness has not signed.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    /// It answers what no witness answers.
    #[error("it answers what no witness answers")]
    Answer,
    /// It has seen another history of this log, or more of it than there is: the number is how many records.
    #[error("it has seen a log of {0} records that is not the beginning of this one")]
    Fork(u64),
    /// There is no proof for what it has seen.
    #[error("there is no proof from {0} records on")]
    Proof(u64),
    /// It was not reached, or was late.
    #[error("it was not reached")]
    Reach(#[source] reqwest::Error),
    /// It does not sign.
    #[error("it does not sign: {0}")]
    Refused(StatusCode),
    /// Its signature is not by its key.
    #[error("its signature is not by its key")]
    Signature,
}

impl Seat {
    /// A witness by this name, at this address, with this key.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn new(name: &str, url: &str, key: VerifierKey) -> Result<Self, InvalidSeat> {
        let text = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
        let url = Url::parse(&text).map_err(|_| InvalidSeat::Address)?;
        let host = url.host_str().ok_or(InvalidSeat::Address)?;
        let here = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            || host == "localhost";
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => return Err(InvalidSeat::Plain),
            _ => return Err(InvalidSeat::Address),
        }
        if key.kind() != KeyKind::Witness {
            return Err(InvalidSeat::Key);
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(PATIENCE / 2)
            .timeout(PATIENCE)
            .user_agent(concat!("cloister/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            name: name.to_owned(),
            url: url.join("add-checkpoint").map_err(|_| InvalidSeat::Address)?,
            key,
            client,
        })
    }

    /// What it is called here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Asks it to sign a checkpoint. `seen` is how large the log was when it signed last, as far as that is known.
    ///
    /// # Errors
    /// It has not. [`Unseen::Fork`] is the one that is not about the witness.
    pub async fn ask(&self, asked: &Asked<'_>, seen: u64) -> Result<Signature, Unseen> {
        let size = asked.checkpoint.size;
        let mut old = seen.min(size);
        for _ in 0..TRIES {
            let proof = if old == 0 || old == size { Some(Vec::new()) } else { (asked.prove)(old) };
            let proof = proof.ok_or(Unseen::Proof(old))?;
            let body = AddCheckpoint { old, proof, checkpoint: asked.note.clone() }.to_string();
            let (status, said) = self.post(body).await?;
            match status {
                StatusCode::OK => return self.signature(asked.note, &said),
                StatusCode::CONFLICT => {
                    let other = said.trim_end().parse::<u64>().map_err(|_| Unseen::Answer)?;
                    // It has more than we ever signed for, or as much and with another root.
                    if other > size || (other == size && old == size) {
                        return Err(Unseen::Fork(other));
                    }
                    old = other;
                }
                other => return Err(Unseen::Refused(other)),
            }
        }
        Err(Unseen::Answer)
    }

    async fn post(&self, body: String) -> Result<(StatusCode, String), Unseen> {
        let reach = |error: reqwest::Error| Unseen::Reach(error.without_url());
        let request = self.client.post(self.url.clone()).header("content-type", "text/plain; charset=utf-8").body(body);
        let mut answer = request.send().await.map_err(reach)?;
        let mut said = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reach)? {
            said.extend_from_slice(&chunk);
            if said.len() > LONGEST {
                return Err(Unseen::Answer);
            }
        }
        Ok((answer.status(), String::from_utf8(said).map_err(|_| Unseen::Answer)?))
    }

    /// Its line, if its key has made it for this checkpoint.
    fn signature(&self, note: &Note, said: &str) -> Result<Signature, Unseen> {
        let lines = said.lines().map(str::parse::<Signature>);
        for signature in lines {
            let signature = signature.map_err(|_| Unseen::Answer)?;
            if (&signature.name, signature.id) == (self.key.name(), self.key.id()) {
                let mut signed = note.clone();
                signed.add(signature.clone());
                return signed.verify([&self.key].into_iter()).map(|_| signature).map_err(|_| Unseen::Signature);
            }
        }
        Err(Unseen::Signature)
    }
}
