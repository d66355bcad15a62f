/// What a key has used of a calendar period, in one number: when that period ends (seconds since the Unix epoch, 32 bits), and how
/// much was used in it (32 bits).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Used {
    pub(crate) ends: u32,
    pub(crate) count: u32,
}

impl Used {
    /// What is not above says nothing any more at this time.
    pub(crate) const fn stale(now: u32) -> u64 {
        ((now as u64) << 32) | u32::MAX as u64
    }

    pub(crate) const fn read(value: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        Self { ends: u32::from_be_bytes([a, b, c, d]), count: u32::from_be_bytes([e, f, g, h]) }
    }

    pub(crate) const fn value(self) -> u64 {
        ((self.ends as u64) << 32) | self.count as u64
    }

    /// The same at this time, in a period that ends then. What was used counts until the end that was named when it was used:
    /// a clock that steps back, or a tenant that moves, gives nothing back.
    pub(crate) const fn in_period(self, now: u32, ends: u32) -> Self {
        if self.ends <= now {
            return Self { ends, count: 0 };
        }
        Self { ends: if self.ends > ends { self.ends } else { ends }, count: self.count }
    }
}
