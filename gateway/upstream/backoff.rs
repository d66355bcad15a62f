use std::time::Duration;

/// How long to wait before something is tried again: a random part of a span that doubles each time, so that those who
/// failed together do not come back together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The span before the first retry.
    pub first: Duration,
    /// The longest span.
    pub longest: Duration,
}

impl Backoff {
    /// The wait before retry number `retry`, counted from 1. `dice` is random, and chooses evenly between nothing and the
    /// whole span.
    #[must_use]
    pub fn before(self, retry: u32, dice: u32) -> Duration {
        let doubled = 2_u32.checked_pow(retry.saturating_sub(1)).and_then(|times| self.first.checked_mul(times));
        let span = doubled.unwrap_or(self.longest).min(self.longest);
        span.mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_doubles_to_its_longest_and_the_dice_choose_within_it() {
        let milliseconds = Duration::from_millis;
        let backoff = Backoff { first: milliseconds(20), longest: milliseconds(100) };
        for (retry, span) in [(1, 20), (2, 40), (3, 80), (4, 100), (40, 100)] {
            assert_eq!(backoff.before(retry, u32::MAX), milliseconds(span));
            assert_eq!(backoff.before(retry, 0), Duration::ZERO);
            let half = backoff.before(retry, u32::MAX / 2);
            assert!(half <= milliseconds(span) / 2 && half > milliseconds(span) / 3, "{half:?}");
        }
    }
}
