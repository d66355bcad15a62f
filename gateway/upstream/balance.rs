use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use terms::TenantId;

use crate::list::{List, Member};
use crate::{Address, Balance};

/// Says which address is next, of those that fit. Nothing is locked and nothing allocated.
#[derive(Debug)]
pub(crate) struct Balancer {
    balance: Balance,
    turn: AtomicUsize,
}

impl Balancer {
    pub(crate) const fn new(balance: Balance) -> Self {
        Self { balance, turn: AtomicUsize::new(0) }
    }

    pub(crate) fn pick<'l>(
        &self,
        list: &'l List,
        tenant: Option<&TenantId>,
        fits: impl Fn(&Address) -> bool,
    ) -> Option<&'l Arc<Address>> {
        match (self.balance, tenant) {
            (Balance::Consistent, Some(tenant)) => rendezvous(list, tenant, fits),
            (Balance::LeastRequests, _) => two_choices(list, fits),
            (Balance::Consistent | Balance::RoundRobin, _) => self.in_turn(list, fits),
        }
    }

    /// Those that do not fit have their turn, too, and it passes: the requests that they do not get fall evenly to the rest,
    /// and not all to whoever is next to them.
    fn in_turn<'l>(&self, list: &'l List, fits: impl Fn(&Address) -> bool) -> Option<&'l Arc<Address>> {
        let next = || list.at(self.turn.fetch_add(1, Ordering::Relaxed));
        let mut turns = (0..list.turns().min(TRIES)).filter_map(|_| next());
        turns.find(|address| fits(address)).or_else(|| first_fit(list, fits))
    }

    pub(crate) const fn balance(&self) -> Balance {
        self.balance
    }
}

/// How many are drawn before all are looked at, one after the other.
const TRIES: usize = 16;

/// Two are drawn, as likely as their weights say, and the less busy one is taken: nearly as good as asking all, and
/// unlike the least busy of all it does not send everybody to one that has just come up.
fn two_choices(list: &List, fits: impl Fn(&Address) -> bool) -> Option<&Arc<Address>> {
    let one = || list.at(fastrand::usize(..list.turns().max(1)));
    let draw = || (0..TRIES).filter_map(|_| one()).find(|address| fits(address)).or_else(|| first_fit(list, &fits));
    let first = draw()?;
    let other = (0..4).filter_map(|_| draw()).find(|other| !Arc::ptr_eq(first, other));
    other.filter(|other| other.in_flight() < first.in_flight()).or(Some(first))
}

/// One that fits, if there is one: the first from somewhere on.
fn first_fit(list: &List, fits: impl Fn(&Address) -> bool) -> Option<&Arc<Address>> {
    let members = list.members();
    let (before, from) = members.split_at_checked(fastrand::usize(..members.len().max(1)))?;
    from.iter().chain(before).map(|member| &member.address).find(|address| fits(address))
}

/// Each address has a score for each tenant; the highest wins (rendezvous hashing). When an address leaves, only its own
/// tenants move; when one comes, it takes an even share from all. The scores are the same in every gateway and after
/// every start.
fn rendezvous<'l>(list: &'l List, tenant: &TenantId, fits: impl Fn(&Address) -> bool) -> Option<&'l Arc<Address>> {
    let tenant = digest(tenant.as_str().bytes());
    let fitting = list.members().iter().filter(|member| fits(&member.address));
    let score = |member: &Member| mixed(tenant ^ member.address.digest());
    let winner = if list.is_weighted() {
        // weight / -ln(u), u even in (0, 1]: each wins as often as its weight says.
        let weighed = |member: &Member| f64::from(member.weight) / -unit(score(member)).ln();
        fitting.max_by(|a, b| weighed(a).total_cmp(&weighed(b)))
    } else {
        fitting.max_by_key(|member| score(member))
    };
    winner.map(|member| &member.address)
}

/// Where a tenant stands in the order in which tenants come back to an address that returns: evenly between 0 and 1, and
/// always the same. It has nothing to do with the score, by which the address won that tenant.
pub(crate) fn lot(tenant: &TenantId, address: &Address) -> f64 {
    unit(mixed(digest(tenant.as_str().bytes()).rotate_left(32) ^ address.digest()))
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which is all that a double has")]
fn unit(score: u64) -> f64 {
    ((score >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a, finished so that near texts end far apart. Not a secret: two tenants that collide share an address, no more.
pub(crate) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mixed(bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The finisher of SplitMix64.
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
