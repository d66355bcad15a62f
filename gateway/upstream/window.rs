use std::time::Duration;

/// How many lanes the tenants of an upstream are spread over. A lane is one word of what failed and what did not; two
/// tenants that share one count as one.
pub(crate) const LANES: usize = 64;

/// How many steps a window moves in.
const STEPS: usize = 10;

/// What happened within the last span of time, by lane.
#[derive(Debug)]
pub(crate) struct Window {
    step: Duration,
    steps: [Step; STEPS],
    /// The number of the step that is being counted.
    now: u64,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    good: [u32; LANES],
    bad: [u32; LANES],
    unconnected: u32,
}

impl Step {
    const EMPTY: Self = Self { good: [0; LANES], bad: [0; LANES], unconnected: 0 };
}

/// What failed, and out of how many, when the lane with the most failures is left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct WithoutWorst {
    pub(crate) bad: u32,
    pub(crate) all: u32,
}

impl Window {
    pub(crate) fn new(span: Duration) -> Self {
        let step = (span / STEPS as u32).max(Duration::from_millis(1));
        Self { step, steps: [Step::EMPTY; STEPS], now: 0 }
    }

    /// The number of the step that a time since the beginning falls into.
    pub(crate) fn number(&self, since: Duration) -> u64 {
        u64::try_from(since.as_nanos() / self.step.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    /// Moves on to this step. What was good until now and is not counted yet belongs to the step that ends.
    pub(crate) fn turn(&mut self, number: u64, good: impl Iterator<Item = u32>) {
        let current = (self.now % STEPS as u64) as usize;
        if let Some(step) = self.steps.get_mut(current) {
            for (count, more) in step.good.iter_mut().zip(good) {
                *count = count.saturating_add(more);
            }
        }
        let gone = number.saturating_sub(self.now).min(STEPS as u64);
        for ahead in 1..=gone {
            let index = ((self.now + ahead) % STEPS as u64) as usize;
            if let Some(step) = self.steps.get_mut(index) {
                *step = Step::EMPTY;
            }
        }
        // A window that was left behind for long is empty in all of its steps, whichever is the current one.
        self.now = self.now.max(number);
    }

    pub(crate) fn fail(&mut self, lane: Option<usize>) {
        let current = (self.now % STEPS as u64) as usize;
        let Some(step) = self.steps.get_mut(current) else { return };
        let count = match lane {
            Some(lane) => step.bad.get_mut(lane),
            None => Some(&mut step.unconnected),
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn without_worst(&self) -> WithoutWorst {
        let mut sum = Step::EMPTY;
        for step in &self.steps {
            for (total, count) in sum.good.iter_mut().zip(step.good) {
                *total = total.saturating_add(count);
            }
            for (total, count) in sum.bad.iter_mut().zip(step.bad) {
                *total = total.saturating_add(count);
            }
            sum.unconnected = sum.unconnected.saturating_add(step.unconnected);
        }
        let lanes = || sum.bad.iter().copied().zip(sum.good);
        let worst = lanes().max_by_key(|(bad, _)| *bad).filter(|(bad, _)| *bad > 0).unwrap_or_default();
        let all = |(bad, good): (u32, u32)| u64::from(bad) + u64::from(good);
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let unconnected = u64::from(sum.unconnected);
        WithoutWorst {
            bad: clamp(unconnected + lanes().map(|(bad, _)| u64::from(bad)).sum::<u64>() - u64::from(worst.0)),
            all: clamp(unconnected + lanes().map(all).sum::<u64>() - all(worst)),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.steps = [Step::EMPTY; STEPS];
    }
}
