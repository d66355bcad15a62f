use std::net::SocketAddr;

use crate::Chosen;

/// The addresses that earlier attempts of one request were made at: as many as are worth remembering, without a list
/// that grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    sockets: [Option<SocketAddr>; Self::KEPT],
    next: usize,
}

impl Tried {
    const KEPT: usize = 4;

    /// Notes one more. The oldest is forgotten when there are too many.
    pub fn note(&mut self, chosen: &Chosen) {
        if let Some(place) = self.sockets.get_mut(self.next % Self::KEPT) {
            *place = Some(chosen.socket());
            self.next = self.next.wrapping_add(1);
        }
    }

    pub(crate) fn has(&self, socket: SocketAddr) -> bool {
        self.sockets.contains(&Some(socket))
    }
}
