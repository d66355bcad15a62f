use std::net::SocketAddr;
use std::sync::Arc;

use crate::Address;

/// The addresses of an upstream at one moment. A change makes another list, with the same [`Address`] for what stayed.
#[derive(Debug)]
pub(crate) struct List {
    members: Box<[Member]>,
    /// Places in `members`, each as often as its weight says, as evenly spread as can be.
    schedule: Box<[u16]>,
    weighted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) address: Arc<Address>,
    pub(crate) weight: u16,
}

impl List {
    /// The most that an upstream has. What a name has beyond it is left out.
    pub(crate) const MOST: usize = 256;

    /// A list of these, each once. What `before` had already is taken over with all that is known of it; the rest is what
    /// `fresh` makes.
    pub(crate) fn new(
        wanted: impl IntoIterator<Item = (SocketAddr, u16)>,
        before: Option<&Self>,
        fresh: impl Fn(SocketAddr) -> Address,
    ) -> Self {
        let mut members: Vec<Member> = Vec::new();
        for (socket, weight) in wanted {
            if members.len() == Self::MOST || members.iter().any(|member| member.address.socket() == socket) {
                continue;
            }
            let known = before.and_then(|before| before.members.iter().find(|it| it.address.socket() == socket));
            let address = known.map_or_else(|| Arc::new(fresh(socket)), |known| Arc::clone(&known.address));
            members.push(Member { address, weight: weight.max(1) });
        }
        let weighted = members.windows(2).any(|pair| matches!(pair, [a, b] if a.weight != b.weight));
        let schedule = schedule(&members.iter().map(|member| member.weight).collect::<Vec<_>>());
        Self { members: members.into(), schedule, weighted }
    }

    pub(crate) const fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) const fn is_weighted(&self) -> bool {
        self.weighted
    }

    pub(crate) const fn turns(&self) -> usize {
        self.schedule.len()
    }

    /// Whose turn it is.
    pub(crate) fn at(&self, turn: usize) -> Option<&Arc<Address>> {
        let place = self.schedule.get(turn.checked_rem(self.schedule.len())?)?;
        self.members.get(usize::from(*place)).map(|member| &member.address)
    }
}

/// Smooth weighted round robin, written down once instead of being counted per request: in each step everybody gains its
/// weight, whoever has most has the turn and pays the sum.
fn schedule(weights: &[u16]) -> Box<[u16]> {
    let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let sum: i64 = weights.iter().sum();
    let mut gained = vec![0; weights.len()];
    let turn = |_| {
        for (gained, weight) in gained.iter_mut().zip(&weights) {
            *gained += weight;
        }
        // The first of those that have most, so that equal weights keep the order in which they are written.
        let (place, most) = gained.iter_mut().enumerate().rev().max_by_key(|(_, gained)| **gained)?;
        *most -= sum;
        u16::try_from(place).ok()
    };
    (0..sum).filter_map(turn).collect()
}

const fn gcd(a: u16, b: u16) -> u16 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_as_many_as_the_weights_say_and_evenly_spread() {
        for (weights, expected) in [
            (vec![1, 1, 1], vec![0, 1, 2]),
            (vec![2, 2], vec![0, 1]),
            (vec![5, 1, 1], vec![0, 0, 1, 0, 2, 0, 0]),
            (vec![3, 1], vec![0, 0, 1, 0]),
            (vec![], vec![]),
        ] {
            assert_eq!(*schedule(&weights), *expected, "{weights:?}");
        }
    }

    #[test]
    fn what_stays_keeps_its_count_when_the_list_changes() {
        let socket = |last: u8| SocketAddr::from(([10, 0, 0, last], 80));
        let before = List::new([(socket(1), 1), (socket(2), 1), (socket(1), 1)], None, Address::new);
        assert_eq!(before.members().len(), 2, "an address stands in a list once");
        before.members()[1].address.begin();
        let after = List::new([(socket(2), 1), (socket(3), 1)], Some(&before), Address::new);
        let counts: Vec<u32> = after.members().iter().map(|member| member.address.in_flight()).collect();
        assert_eq!(counts, [1, 0]);
    }
}
