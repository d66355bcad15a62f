use std::fmt;
use std::num::NonZeroU16;

/// How much of what is short a tenant gets, beside others: twice the weight, twice the places.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(NonZeroU16);

/// A number that is no weight. Zero would be for ever in line, and is not what a suspended tenant is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a weight is from 1 to {}", Weight::MOST)]
pub struct InvalidWeight;

impl Weight {
    /// That of whoever has no other. Nobody has less.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// The greatest.
    pub const MOST: u16 = 1_000;

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u32> for Weight {
    type Error = InvalidWeight;

    fn try_from(number: u32) -> Result<Self, InvalidWeight> {
        let number = u16::try_from(number).ok().filter(|number| *number <= Self::MOST);
        number.and_then(NonZeroU16::new).map(Self).ok_or(InvalidWeight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_at_least_one_and_never_without_bound() {
        for (number, expected) in [(0, None), (1, Some(1)), (1_000, Some(1_000)), (1_001, None), (65_537, None)] {
            assert_eq!(Weight::try_from(number).ok().map(Weight::get), expected, "{number}");
        }
    }
}
