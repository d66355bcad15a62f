use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use terms::{TenantId, Weight};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::queue::{Entered, Queue};

/// How many requests one upstream may have in flight, in all and of each tenant. Who comes when there is no room waits, if
/// there is room to wait. One tenant alone may have all places; once others wait, each gets its share of them by its weight
/// (see `turns.rs`), and a few are left for who asks now and then (`queue.rs`). So a tenant whose queries are slow, or that asks for fifty times its share, waits for itself.
///
/// Each request takes the lock twice, for some dozen nanoseconds: the counts per tenant are exact, and nothing that is
/// exact about a set of tenants that is not known before can be kept in atomics alone.
#[derive(Debug)]
pub struct Bulkhead {
    caps: Caps,
    queue: Mutex<Queue>,
}

/// What an upstream takes at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caps {
    /// Requests in flight.
    pub in_flight: NonZeroU32,
    /// Requests in flight of one tenant. Those of public routes count as one tenant's.
    pub per_tenant: NonZeroU32,
    /// Requests that wait for a place. None: who finds no place is turned away.
    pub waiting: u32,
    /// How long one waits.
    pub wait: Duration,
}

/// There is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{bound}")]
pub struct Shed {
    /// Why.
    pub bound: Bound,
    /// When it is worth to ask for one again, going by how quickly those that wait are called.
    pub retry_after: Duration,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Bound {
    /// The tenant has more than its share, in flight and in line, while others want theirs.
    #[error("the tenant has more than its share of the upstream")]
    Share,
    /// The tenant has as many in flight as it may.
    #[error("the tenant has too many requests in flight")]
    Tenant,
    /// The upstream has.
    #[error("the upstream has too many requests in flight")]
    Upstream,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Occupancy {
    /// Places taken.
    pub in_flight: u32,
    /// Requests that wait for one.
    pub waiting: u32,
}

/// A place, for as long as this lives: whatever ends a request gives it back, once.
#[derive(Debug)]
pub struct InFlight {
    bulkhead: Arc<Bulkhead>,
    tenant: Option<TenantId>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.bulkhead.queue().leave(self.tenant.as_ref());
    }
}

impl Bulkhead {
    /// An empty one.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        Self { caps, queue: Mutex::new(Queue::new(caps, Instant::now)) }
    }

    /// What it takes at once.
    #[must_use]
    pub const fn caps(&self) -> Caps {
        self.caps
    }

    /// How full it is.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.queue().occupancy()
    }

    /// A place for a tenant of this weight, at once or after a wait of at most `patience`. Without a tenant it is one of those
    /// that all who have none share.
    ///
    /// # Errors
    /// There is none, and none became free in time, or its place in line was given to a tenant that has less.
    pub async fn enter(
        self: &Arc<Self>,
        tenant: Option<&TenantId>,
        weight: Weight,
        patience: Duration,
    ) -> Result<InFlight, Shed> {
        let entered = self.queue().enter(tenant, weight);
        let in_flight = || InFlight { bulkhead: Arc::clone(self), tenant: tenant.cloned() };
        let (number, place) = match entered {
            Entered::Place => return Ok(in_flight()),
            Entered::Shed(shed) => return Err(shed),
            Entered::Waiting(number, place) => (number, place),
        };
        let mut waiting = Waiting { bulkhead: self, tenant, number, place, over: false };
        let granted = tokio::time::timeout(patience.min(self.caps.wait), &mut waiting.place).await;
        match granted {
            Ok(Ok(granted)) => {
                waiting.over = true;
                granted.map(|()| in_flight())
            }
            // Nobody has told it anything: it is still in the queue, and knows best why.
            Ok(Err(_)) | Err(_) => Err(self.queue().shed(tenant)),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // What it counts is right between any two of its lines that can panic: there are none.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the queue. One that goes away before it was called leaves the queue; one that goes away while it is being
/// called gives its place back.
struct Waiting<'a> {
    bulkhead: &'a Bulkhead,
    tenant: Option<&'a TenantId>,
    number: u64,
    place: oneshot::Receiver<Result<(), Shed>>,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut queue = self.bulkhead.queue();
        if !queue.forget(self.tenant, self.number) && self.place.try_recv() == Ok(Ok(())) {
            queue.leave(self.tenant);
        }
    }
}

#[cfg(test)]
mod tests;
