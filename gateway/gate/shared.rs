use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use limit::{Asker, Exceeded, Limits, Spent};
use tally::{Asked, Tally};

/// Takes from all of these limits or from none. Those that stand in a store are asked for there, in one step for all of them;
/// a route without such a limit never comes near that.
pub(crate) async fn spend(
    limits: &Arc<Limits>,
    tally: Option<&Tally>,
    which: &[usize],
    asker: &Asker<'_>,
    cost: NonZeroU32,
    now: Instant,
) -> Result<Spent, Exceeded> {
    match tally.filter(|_| limits.stand_in_store(which)) {
        None => limits.spend(which, asker, cost, now),
        // On the heap: it is large, and most requests do not need it.
        Some(tally) => Box::pin(together(limits, tally, which, asker, cost, now)).await,
    }
}

async fn together(
    limits: &Arc<Limits>,
    tally: &Tally,
    which: &[usize],
    asker: &Asker<'_>,
    cost: NonZeroU32,
    now: Instant,
) -> Result<Spent, Exceeded> {
    let asking = limits.ask(which, asker, cost, now)?;
    match tally.ask(&asking).await {
        Asked::Answered(reply, settling) => asking.answered(asker, &reply, settling),
        Asked::Lost(settling) => asking.unanswered(asker, settling),
    }
}
