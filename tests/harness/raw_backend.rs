//! A backend that answers every request with the same bytes, until it is told others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::recorder::{Play, Recorded, Recorder};

/// What becomes of a connection after the bytes were played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// The next request is waited for.
    Keep,
    /// It ends.
    Close,
}

#[derive(Clone, Debug)]
pub struct RawBackend {
    pub address: SocketAddr,
    recorder: Recorder,
    script: Arc<Mutex<Vec<Play>>>,
}

impl RawBackend {
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(Play::answer("ok")));
        let playing = Arc::clone(&script);
        let recorder = Recorder::playing(move |_| playing.lock().unwrap().clone()).await;
        Self { address: recorder.address, recorder, script }
    }

    /// Answers with these bytes from now on.
    pub fn plays(&self, bytes: impl AsRef<[u8]>, then: Then) {
        let mut steps = vec![Play::Body, Play::Bytes(bytes.as_ref().to_vec())];
        if then == Then::Close {
            steps.push(Play::Close);
        }
        *self.script.lock().unwrap() = steps;
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.recorder.tapes().len()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.recorder.requests()
    }
}
