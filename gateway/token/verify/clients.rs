use crate::{Reach, Unfit, fetch};

/// One client for all issuers that may be asked at the same addresses, for the same.
#[derive(Default)]
pub(super) struct Clients {
    public: Option<reqwest::Client>,
    private: Option<reqwest::Client>,
    asking_public: Option<reqwest::Client>,
    asking_private: Option<reqwest::Client>,
}

impl Clients {
    pub(super) fn get(&mut self, reach: Reach) -> Result<reqwest::Client, Unfit> {
        let made = match reach {
            Reach::Public => &mut self.public,
            Reach::Private => &mut self.private,
        };
        match made {
            Some(client) => Ok(client.clone()),
            None => Ok(made.insert(https(|| fetch::client(reach))?).clone()),
        }
    }

    pub(super) fn asking(&mut self, reach: Reach) -> Result<reqwest::Client, Unfit> {
        let made = match reach {
            Reach::Public => &mut self.asking_public,
            Reach::Private => &mut self.asking_private,
        };
        match made {
            Some(client) => Ok(client.clone()),
            None => Ok(made.insert(https(|| fetch::asking(reach))?).clone()),
        }
    }
}

/// Asks first whether the process has a provider: without one, making a client would panic.
fn https(make: impl FnOnce() -> reqwest::Result<reqwest::Client>) -> Result<reqwest::Client, Unfit> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Unfit::Client("no rustls provider is installed".into()));
    }
    make().map_err(|error| Unfit::Client(terms::chain(&error)))
}
