use std::net::{SocketAddr, TcpListener};

/// Sockets that listen already: from the process that this one takes over from, or from whoever started it. Each is known
/// by the address that it was asked for by.
#[derive(Debug, Default)]
pub struct Inherited {
    left: Vec<(SocketAddr, TcpListener)>,
    /// Whether there was any.
    any: bool,
}

impl Inherited {
    /// Adds one.
    pub fn push(&mut self, address: SocketAddr, listener: TcpListener) {
        self.left.push((address, listener));
        self.any = true;
    }

    /// Takes the first that was asked for by this address. Where there were others and not this one, that is said: it may
    /// have been forgotten.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.left.iter().position(|(known, _)| *known == address);
        if at.is_none() && self.any {
            tracing::info!(%address, "no socket was passed for this address, opening one");
        }
        at.map(|at| self.left.remove(at).1)
    }

    /// Those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = SocketAddr> {
        self.left.iter().map(|(address, _)| *address)
    }
}
