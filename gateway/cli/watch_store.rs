//! One look at the store for all that is in force of it.

use std::sync::Arc;
use std::time::Duration;

use crate::audit_uses::AuditUses;
use crate::background::Shutdown;
use crate::known_keys::{Ends, KnownKeys};
use crate::revoking::Revoking;

/// How often.
const LOOK: Duration = Duration::from_millis(200);

/// Keeps what is in force as the store has it until `shutdown`, and tells the store at the end what it does not know yet.
pub(crate) async fn run(
    revoking: Arc<Revoking>,
    known_keys: Arc<KnownKeys>,
    uses: Arc<AuditUses>,
    mut shutdown: Shutdown,
) {
    loop {
        let ends = tokio::select! {
            () = &mut shutdown => Ends::Yes,
            () = tokio::time::sleep(LOOK) => Ends::No,
            () = revoking.nudged() => Ends::No,
        };
        let (revoking, known_keys, uses) = (Arc::clone(&revoking), Arc::clone(&known_keys), Arc::clone(&uses));
        let look = move || {
            let version = revoking.store().version();
            let known = version.as_ref().ok().copied();
            revoking.refresh_at(version);
            known_keys.refresh_at(known, ends);
            uses.refresh_at(known);
        };
        // Away from the tasks that must not wait for a disk.
        drop(tokio::task::spawn_blocking(look).await);
        if ends == Ends::Yes {
            return;
        }
    }
}
