mod plan;
mod step;
mod traffic;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

pub use step::{Expected, Ink, Look, Step, print, settle};

use crate::{Issuer, MintError, Minted, User, web};
use plan::{Bearer, Crafted, Plain};
use wire::{Got, Wire};

/// A client of the gateway that knows what must become of each of its requests.
#[derive(Debug)]
pub struct Tour {
    gateway: SocketAddr,
    tokens: Vec<(Bearer, String)>,
}

impl Tour {
    /// Mints the tokens that the tour carries, sound and broken ones.
    ///
    /// # Errors
    /// When a token cannot be minted.
    pub fn new(gateway: SocketAddr, issuer: &Issuer) -> Result<Self, MintError> {
        let tokens = Bearer::ALL
            .iter()
            .map(|bearer| match bearer {
                Bearer::Broken(kind) => Ok((*bearer, issuer.mint(&User::ADA, *kind)?)),
                Bearer::Of(user) => Ok((*bearer, issuer.mint(user, Minted::Sound)?)),
            })
            .collect::<Result<_, MintError>>()?;
        Ok(Self { gateway, tokens })
    }

    /// Makes all requests, one after the other, and notes what became of each. What the client cannot see, the precise
    /// reason, is filled in by [`settle`].
    ///
    /// A gateway that cannot be reached makes every step fail; it is no error of the tour.
    pub async fn walk(&self) -> Vec<Step> {
        let wire = match Wire::new(self.gateway, web::client()) {
            Ok(wire) => wire,
            Err(why) => return vec![Step::broken("the tour needs an http client", why)],
        };
        let mut steps = Vec::new();
        for plain in plan::PLAIN {
            steps.push(self.ask(&wire, plain).await);
        }
        for crafted in plan::CRAFTED {
            steps.push(self.send(&wire, crafted).await);
        }
        let ada = self.token(Bearer::Of(User::ADA));
        steps.push(traffic::web_socket(&wire, ada).await);
        steps.push(traffic::events(&wire, ada).await);
        steps.push(traffic::upload(&wire, ada).await);
        steps.push(traffic::download(&wire, ada).await);
        steps.push(traffic::over_limit(&wire, ada).await);
        steps
    }

    async fn ask(&self, wire: &Wire, plain: &Plain) -> Step {
        let Plain { what, method, host, path, bearer, headers, body, expected, check } = plain;
        let token = bearer.map(|bearer| self.token(bearer));
        let who = bearer.map_or_else(|| "nobody".to_owned(), |bearer| bearer.to_string());
        let extra = headers.iter().map(|(name, value)| format!(", {name}: {value}")).collect::<String>();
        let sent = format!("{method} {host}{path} ({who}{extra})");
        let got = wire.ask(method, host, path, token, headers, *body).await;
        Step::noted(what, sent, *expected, got, *check)
    }

    async fn send(&self, wire: &Wire, crafted: &Crafted) -> Step {
        let Crafted { what, shown, bytes, expected, check } = crafted;
        let bytes = bytes
            .replace("{token}", self.token(Bearer::Of(User::ADA)))
            .replace("{port}", &self.gateway.port().to_string());
        Step::noted(what, (*shown).to_owned(), *expected, wire.raw(bytes.as_bytes()).await, *check)
    }

    fn token(&self, bearer: Bearer) -> &str {
        self.tokens.iter().find(|(kind, _)| *kind == bearer).map_or("", |(_, token)| token)
    }
}

/// How long one request of the tour may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at an answer that has the right status: what is wrong with it all the same?
type Check = fn(&Got) -> Option<String>;

#[cfg(test)]
mod tests;
