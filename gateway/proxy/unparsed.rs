use std::sync::Arc;

use gate::{Cause, Refusal, Seen};
use ingress::{Connection, Unparsed, UnparsedWhy};

use crate::proxy::Proxy;

/// Keeps a record of what never became a request: pingora answers it and tells nobody.
#[derive(Debug)]
pub struct Recorder(Arc<Proxy>);

impl Recorder {
    /// A recorder that writes into the journal of this proxy's gate.
    #[must_use]
    pub const fn new(proxy: Arc<Proxy>) -> Self {
        Self(proxy)
    }
}

impl Unparsed for Recorder {
    fn unparsed(&self, connection: &Connection, why: UnparsedWhy) {
        let arrival = self.0.arrival(connection.peer().ip(), None, None);
        let refusal = Refusal::new(Cause::Unparsed(why.reason()), self.0.gate().rules());
        let refusal = self.0.gate().record(&arrival, Seen::default(), refusal, 0);
        self.0.metrics().answered(None, refusal.answer().status.as_u16(), refusal.reason());
    }
}
