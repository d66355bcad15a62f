use std::net::{SocketAddr, TcpListener};

/// Sockets that listen already: from the process that this one takes over from, or from whoever started it. Each is known
/// by the address that it was asked for by.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(SocketAddr, TcpListener)>);

impl Inherited {
    /// Adds one.
    pub fn push(&mut self, address: SocketAddr, listener: TcpListener) {
        self.0.push((address, listener));
    }

    /// Takes the first that was asked for by this address.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|(known, _)| *known == address)?;
        Some(self.0.remove(at).1)
    }

    /// Those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(address, _)| *address)
    }
}
