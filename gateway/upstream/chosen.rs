use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Address, Verdict};

/// The address of one attempt. The attempt counts as in flight there for as long as this lives.
#[derive(Debug)]
pub struct Chosen(Arc<Address>);

/// How one attempt went, as far as it says something about the address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Went {
    /// It answered with this status.
    Answered(u16),
    /// It broke off, or answered what is no response, before a response had begun.
    Broke,
    /// No response began in time.
    Late,
    /// No connection stood: refused, unreachable, too late, or not who it should be.
    Unconnected,
}

impl Went {
    /// What it says about the backend. A status says something only if it speaks of the backend and not of the request.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Answered(502..=504) | Self::Broke | Self::Late => Verdict::Failed,
            Self::Answered(_) => Verdict::Fine,
            Self::Unconnected => Verdict::Unconnected,
        }
    }
}

impl Chosen {
    pub(crate) fn new(address: &Arc<Address>) -> Self {
        address.begin();
        Self(Arc::clone(address))
    }

    /// What was chosen.
    #[must_use]
    pub const fn address(&self) -> &Arc<Address> {
        &self.0
    }

    /// Where to connect to.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        self.0.socket()
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_the_backend_counts_against_it() {
        for status in [200, 204, 301, 400, 401, 403, 404, 409, 429, 499, 500, 501, 505, 599] {
            assert_eq!(Went::Answered(status).verdict(), Verdict::Fine, "{status}");
        }
        for went in [Went::Answered(502), Went::Answered(503), Went::Answered(504), Went::Broke, Went::Late] {
            assert_eq!(went.verdict(), Verdict::Failed, "{went:?}");
        }
        assert_eq!(Went::Unconnected.verdict(), Verdict::Unconnected);
    }
}
