//! Tickets (RFC 8446 §4.6.1): what a client resumes a session with, encrypted for ourselves.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::GetRandomFailed;
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;
use rustls::ticketer::TicketRotator;

/// Tickets whose key is new after each `rotation`; those under the key before are still taken for as long again.
pub(crate) fn tickets(rotation: Duration) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    let seconds = u32::try_from(rotation.as_secs()).unwrap_or(u32::MAX);
    Ok(Arc::new(TicketRotator::new(seconds, one_key)?))
}

/// The longest rotation that is kept to: what makes tickets has a key of its own that it changes by itself after this.
pub const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

fn one_key() -> Result<Box<dyn ProducesTickets>, GetRandomFailed> {
    Ok(Box::new(Key(Ticketer::new().map_err(|_| GetRandomFailed)?)))
}

#[derive(Debug)]
struct Key(Arc<dyn ProducesTickets>);

impl ProducesTickets for Key {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_ticket_is_taken_under_its_key_and_under_the_next_one_and_not_later() {
        let tickets = tickets(Duration::from_secs(1)).unwrap();
        let key_of = |ticket: &[u8]| ticket[..16].to_vec();
        let first = tickets.encrypt(b"session").unwrap();
        let (start, mut keys) = (Instant::now(), vec![key_of(&first)]);
        while tickets.decrypt(&first).as_deref() == Some(b"session") {
            assert!(start.elapsed() < Duration::from_secs(30), "the key is never given up");
            let key = key_of(&tickets.encrypt(b"another").unwrap());
            if !keys.contains(&key) {
                keys.push(key);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(keys.len() >= 2, "the ticket outlived its own key by one");
    }
}
