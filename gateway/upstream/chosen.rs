use std::net::SocketAddr;
use std::sync::Arc;

use crate::Address;

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
