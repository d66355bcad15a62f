//! How many requests are in progress: in all, before anything is spent on one, and of each tenant, once it is known who asks.
//!
//! What one tenant may have shrinks as rooms get fewer: it is a multiple of those that are free, by its weight. So one alone
//! may have its part of all (`requests_per_tenant`), several come to have rooms as their weights say, and some are always
//! left for whoever comes with little, and for those of whom nobody knows yet who they are. Nobody has to be asked to leave
//! for that: who has more than its part gets no further room until some of its own are free again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use terms::{Share, TenantId, Weight};

use crate::member::Entered;
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Rules, Who};

/// How many requests are in progress, and how many may be. Zero is none.
#[derive(Debug)]
pub struct Rooms {
    all: usize,
    taken: AtomicUsize,
    per_tenant: Share,
    /// Of each tenant that has some. `None`: those of public routes. In parts, so that workers are seldom in each other's way.
    tenants: [Mutex<HashMap<Option<TenantId>, usize>>; PARTS],
    hasher: RandomState,
}

const PARTS: usize = 32;

impl Rooms {
    /// Room for so many requests at once, of which one tenant of weight 1 may have this share while no other has any.
    #[must_use]
    pub fn new(all: usize, per_tenant: Share) -> Self {
        let tenants = std::array::from_fn(|_| Mutex::default());
        Self { all, taken: AtomicUsize::new(0), per_tenant, tenants, hasher: RandomState::new() }
    }

    /// How many are in progress.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether a tenant that has so many may have one more, for which a room is taken already. A share of one half is as
    /// many as are free, one of two thirds twice as many.
    fn admit(&self, has: usize, weight: Weight) -> bool {
        let free = self.all.saturating_sub(self.taken()).saturating_add(1) as u128;
        let share = u128::from(self.per_tenant.percent());
        has as u128 * (100 - share) < free * share * u128::from(weight.get())
    }

    fn part(&self, tenant: &Option<TenantId>) -> MutexGuard<'_, HashMap<Option<TenantId>, usize>> {
        let [first, ..] = &self.tenants;
        let index = usize::try_from(self.hasher.hash_one(tenant) % PARTS as u64).unwrap_or(0);
        // What is counted is right between any two lines that can panic: there are none.
        self.tenants.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proof that there was room for one more request. It is in progress until this is dropped. Only [`Room::take`] makes one.
#[derive(Debug)]
pub(crate) struct Room(Arc<Rooms>);

impl Room {
    /// Takes a room, before anything is spent on the request.
    pub(crate) fn take(rooms: &Arc<Rooms>, rules: &Arc<Rules>) -> Result<Self, Refusal> {
        let before = rooms.taken.fetch_add(1, Ordering::Relaxed);
        let room = Self(Arc::clone(rooms)); // gives it back, too, if it is one too many
        if before < rooms.all { Ok(room) } else { Err(Refusal::new(Cause::Overloaded, Arc::clone(rules))) }
    }

    fn lodge(self, tenant: Option<&TenantId>, weight: Weight) -> Option<Lodged> {
        let tenant = tenant.cloned();
        let mut part = self.0.part(&tenant);
        let has = part.get(&tenant).copied().unwrap_or(0);
        if !self.0.admit(has, weight) {
            return None;
        }
        part.insert(tenant.clone(), has + 1);
        drop(part);
        Some(Lodged { room: self, tenant })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Proof that the tenant of a request has not more than its share of the rooms. Only [`Lodged::check`] and
/// [`Lodged::public`] make one.
#[derive(Debug)]
pub(crate) struct Lodged {
    room: Room,
    tenant: Option<TenantId>,
}

impl Lodged {
    /// Counts the request as one of its tenant's, as soon as it is known which that is.
    pub(crate) fn check<'r>(entered: Entered<'r>, room: Room) -> Result<(Entered<'r>, Self), Refusal> {
        let Entered { routed, member } = entered;
        let tenant = member.membership().tenant();
        match room.lodge(Some(tenant), routed.rules().weight(Some(tenant))) {
            Some(lodged) => Ok((Entered { routed, member }, lodged)),
            None => Err(routed.refuse_as(Cause::Crowded, Who::Member(member))),
        }
    }

    /// Counts it as one of those that no tenant asks for. They have together what one tenant has.
    pub(crate) fn public(routed: &Routed<'_>, room: Room) -> Result<Self, Refusal> {
        room.lodge(None, routed.rules().weight(None)).ok_or_else(|| routed.refuse(Cause::Crowded))
    }
}

impl Drop for Lodged {
    fn drop(&mut self) {
        let mut part = self.room.0.part(&self.tenant);
        match part.get_mut(&self.tenant) {
            Some(has) if *has > 1 => *has -= 1,
            Some(_) | None => drop(part.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rooms(all: usize, share: &str) -> Arc<Rooms> {
        Arc::new(Rooms::new(all, share.parse().unwrap()))
    }

    /// A request of this tenant, if it gets as far.
    fn come(rooms: &Arc<Rooms>, who: Option<&str>, weight: u32) -> Option<Lodged> {
        rooms.taken.fetch_add(1, Ordering::Relaxed);
        let room = Room(Arc::clone(rooms));
        let tenant = who.map(|who| who.parse().unwrap());
        (rooms.taken() <= rooms.all).then(|| room.lodge(tenant.as_ref(), Weight::try_from(weight).unwrap())).flatten()
    }

    /// As many as it gets.
    fn fill(rooms: &Arc<Rooms>, who: Option<&str>, weight: u32) -> Vec<Lodged> {
        std::iter::from_fn(|| come(rooms, who, weight)).collect()
    }

    fn is_empty(rooms: &Rooms) -> bool {
        rooms.taken() == 0 && rooms.tenants.iter().all(|part| part.lock().unwrap().is_empty())
    }

    #[test]
    fn one_tenant_alone_has_its_share_and_what_is_left_is_for_others() {
        for (all, share, weight, expected) in [
            (1_000, "50%", 1, 500),
            (1_000, "80%", 1, 800),
            (1_000, "50%", 4, 800),
            (1_000, "100%", 1, 1_000),
            (1_000, "1%", 1, 10),
            (1, "50%", 1, 1),
            (2, "50%", 1, 1),
            (0, "50%", 1, 0),
        ] {
            let rooms = rooms(all, share);
            let held = fill(&rooms, Some("acme"), weight);
            assert!(held.len().abs_diff(expected) <= 1, "{all} {share} {weight}: {}", held.len());
            let left = usize::from(all > held.len());
            assert_eq!(usize::from(come(&rooms, Some("globex"), 1).is_some()), left, "{all} {share} {weight}");
            drop(held);
            assert!(is_empty(&rooms));
        }
    }

    #[test]
    fn those_that_want_all_come_to_have_rooms_as_their_weights_say_and_some_are_left() {
        let rooms = rooms(1_000, "50%");
        let tenants = [(Some("acme"), 1), (Some("globex"), 3), (None, 1)];
        let mut held: Vec<Vec<Lodged>> = vec![fill(&rooms, Some("acme"), 1), Vec::new(), Vec::new()];
        for turn in 0..20_000 {
            let who = turn % 3;
            let (name, weight) = tenants[who];
            held[who].extend(come(&rooms, name, weight));
            let over = (turn * 7 + turn / 11) % 3; // requests end, whoever's they are
            if turn % 5 < 3 && !held[over].is_empty() {
                drop(held[over].remove(0));
            }
        }
        let mut held: Vec<usize> = (0..3)
            .map(|who| {
                let (name, weight) = tenants[who];
                held[who].extend(fill(&rooms, name, weight));
                held[who].len()
            })
            .collect();
        held.push(1_000 - held.iter().sum::<usize>());
        for (has, due) in held.iter().zip([167_usize, 500, 167, 167]) {
            assert!(has.abs_diff(due) <= due / 4, "{held:?}");
        }
    }

    proptest! {
        #[test]
        fn no_order_of_events_leaks_a_room_and_who_has_none_gets_one_as_long_as_one_is_free(
            all in 1_usize..40,
            share in 1_u8..=99,
            events in prop::collection::vec((0_usize..4, any::<bool>(), any::<prop::sample::Index>()), 0..300),
        ) {
            let rooms = rooms(all, &format!("{share}%"));
            let names = [Some("acme"), Some("globex"), Some("initech"), None];
            let mut held: Vec<(usize, Lodged)> = Vec::new();
            for (who, comes, which) in events {
                if !comes && !held.is_empty() {
                    drop(held.remove(which.index(held.len())));
                    continue;
                }
                let has = held.iter().filter(|(other, _)| *other == who).count();
                let lodged = come(&rooms, names[who], 1);
                prop_assert!(lodged.is_some() || has > 0 || held.len() == all, "it has nothing, and a room is free");
                held.extend(lodged.map(|lodged| (who, lodged)));
                prop_assert!(held.len() <= all);
                prop_assert_eq!(rooms.taken(), held.len());
            }
            drop(held);
            prop_assert!(is_empty(&rooms));
        }
    }
}
