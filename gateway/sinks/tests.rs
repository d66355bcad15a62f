//! What the part promises, shown on real logs.

mod feeding;

use tlog::leaf_hash;

use crate::batch::{Batch, Item, LogId};
use crate::render::Severity;

pub(crate) const LOG: LogId = LogId([7; 16]);

/// Records that say nothing but which they are.
pub(crate) fn batch(first: u64, count: u64) -> Batch {
    let item = |index| {
        let text = format!("{{\"n\":{index}}}");
        let leaf = leaf_hash(text.as_bytes());
        let (event, tenant) = ("allowed".into(), Some("acme".into()));
        let (severity, trace) = (Severity::Informational, None);
        Item { index, leaf, millis: 1_790_000_000_000 + index, event, tenant, severity, trace, text }
    };
    Batch { log: LOG, items: (first..first + count).map(item).collect() }
}

/// What TLS is done with, as the program says at its start.
pub(crate) fn provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
