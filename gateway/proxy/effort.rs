use std::sync::Arc;
use std::time::{Duration, Instant};

use upstream::{InFlight, Pass};

use crate::backends::Backend;

/// What is done for one permitted request, over all of its attempts.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    /// Whom to ask.
    pub(crate) backend: Option<Arc<Backend>>,
    /// Its place at the backend: taken before the first attempt, held to the end of the response.
    pub(crate) place: Option<InFlight>,
    /// What the breaker gave it for the attempt that is under way.
    pub(crate) pass: Option<Pass>,
    /// When the request has to be over, if it is no stream. Set with its place.
    pub(crate) until: Option<Instant>,
    /// How long to wait for the head of a response, from the end of the request on. `None`: it is there, or who reads it
    /// watches over that.
    pub(crate) first_byte: Option<Duration>,
    /// How long its connection may take, if the request has the time.
    pub(crate) connects_within: Option<Duration>,
    /// How long to wait before the next attempt.
    pub(crate) pause: Option<Duration>,
    /// Whether a part of a response has gone on to the client: from then on nothing can be tried again.
    pub(crate) begun: bool,
    /// Whether the response that is there was put aside for another attempt.
    pub(crate) put_aside: bool,
    /// When the client may ask again, if it was turned away.
    pub(crate) retry_after: Option<Duration>,
}

impl Effort {
    /// How long the request may still take.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(now))
    }
}
