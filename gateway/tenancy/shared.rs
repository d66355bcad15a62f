use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

/// A map whose copies share what is the same in them, so that the next state of a large one is made of the last one without
/// copying it. It has about as many parts as there are entries in each, and a change copies one part.
#[derive(Clone, Debug)]
pub(crate) struct Shared<K, V> {
    parts: Vec<Arc<HashMap<K, V>>>,
    len: usize,
    hasher: RandomState,
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self { parts: Vec::new(), len: 0, hasher: RandomState::new() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Shared<K, V> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.len == 0 {
            return None;
        }
        self.parts.get(self.place(key))?.get(key)
    }

    /// What stands there, to be changed; this, if nothing does.
    #[expect(clippy::expect_used, reason = "a place is always below the number of parts, and there is one by then")]
    pub(crate) fn entry(&mut self, key: K, or: impl FnOnce() -> V) -> &mut V {
        if self.len >= self.parts.len().saturating_mul(self.parts.len()) {
            self.grow();
        }
        let place = self.place(&key);
        let entry = Arc::make_mut(self.parts.get_mut(place).expect("a part")).entry(key);
        self.len += usize::from(matches!(entry, Entry::Vacant(_)));
        entry.or_insert_with(or)
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.get(key).is_none() {
            return; // nothing is copied for nothing
        }
        let place = self.place(key);
        if let Some(part) = self.parts.get_mut(place)
            && Arc::make_mut(part).remove(key).is_some()
        {
            self.len -= 1;
        }
    }

    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // Their number is a power of two.
        usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0) & self.parts.len().saturating_sub(1)
    }

    /// Twice as many parts. Each entry is moved as often as its number of entries has grown fourfold.
    fn grow(&mut self) {
        let count = (self.parts.len() * 2).max(1);
        let old = std::mem::replace(&mut self.parts, vec![Arc::default(); count]);
        for part in old {
            for (key, value) in Arc::unwrap_or_clone(part) {
                let place = self.place(&key);
                if let Some(part) = self.parts.get_mut(place) {
                    Arc::make_mut(part).insert(key, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_and_what_was_copied_from_it_stays_as_it_was(
            steps in prop::collection::vec((0_u16..400, any::<bool>()), 0..800)
        ) {
            let (mut shared, mut plain) = (Shared::default(), HashMap::new());
            for (index, (key, put)) in steps.into_iter().enumerate() {
                let earlier = (index % 50 == 0).then(|| (shared.clone(), plain.clone()));
                if put {
                    *shared.entry(key, || 0) = index;
                    plain.insert(key, index);
                } else {
                    shared.remove(&key);
                    plain.remove(&key);
                }
                prop_assert_eq!(shared.len, plain.len());
                if let Some((copy, before)) = earlier {
                    prop_assert!((0..400).all(|key| shared.get(&key) == plain.get(&key)));
                    prop_assert!((0..400).all(|key| copy.get(&key) == before.get(&key)));
                }
            }
        }
    }
}
