//! Requests in = records: what the log tells of both, so that whoever reads it later need not believe that none is missing.
//!
//! The thread that takes a request in counts it in its lane before it is judged. Where there are several logs, that is a lane of
//! the first one, and a request that is placed in another is counted there, and here as one that left ([`crate::Logs`]). The
//! committer counts the final records that it brings to disk. The two meet in `log.heartbeat`, every minute, and in `log.closed`, when nothing is under way any more.
//! A run that was cut off tells of neither. Both counts outlive its process in its lanes, as long as the machine is not started
//! anew, and the next run tells of them in `log.recovered`.

use std::time::{Duration, Instant};

use crate::lane::{Kept, Lane};

/// What the log tells, since it was opened or taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    /// Requests that came in, those that were under way at the beginning among them.
    pub(crate) requests: u64,
    /// Final records in the log.
    pub(crate) finals: u64,
}

#[derive(Debug)]
pub(crate) struct Accounts {
    /// Final records in the log.
    finals: u64,
    /// Requests without a record of which the log knows.
    unrecorded: u64,
    /// Those of runs whose lanes are gone: what came in less what had its record before this began.
    buried: Net,
    /// Final records in the batch that are in no lane.
    pub(crate) owed: u64,
    /// Whether the lanes can be believed: what a writer before this one counted it may not have brought to disk.
    is_exact: bool,
    told: Instant,
}

/// What came in and did not leave, less what had its final record already. A request may come in on one thread and end on
/// another, so that of one lane it may be less than nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Net(i128);

impl Net {
    /// Of lanes, each with how many final records it had in the log when this began.
    pub(crate) fn of<'l>(lanes: impl Iterator<Item = (&'l Lane, u64)> + Clone) -> Self {
        // ORDER: those that left first. Each of them had come in before, so that what comes now has it, too; and what came in is
        // never fewer than those whose records are here.
        let left = lanes.clone().map(|(lane, _)| i128::from(lane.left())).sum::<i128>();
        let net = |(lane, settled_before): (&Lane, u64)| i128::from(lane.arrived()) - i128::from(settled_before);
        Self(lanes.map(net).sum::<i128>() - left)
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self { finals: 0, unrecorded: 0, buried: Net::default(), owed: 0, is_exact: true, told: Instant::now() }
    }
}

impl Accounts {
    /// The counts begin anew, and those of the lanes are not to be believed.
    pub(crate) fn unknown() -> Self {
        Self { is_exact: false, ..Self::default() }
    }

    /// The batch with so many final records from lanes is on disk.
    pub(crate) fn committed(&mut self, finals: u64) {
        self.finals += finals + std::mem::take(&mut self.owed);
    }

    /// The batch that says of so many requests that they have no record is on disk.
    pub(crate) fn owned_up(&mut self, unrecorded: u64) {
        self.unrecorded += unrecorded;
    }

    /// What whoever comes after a crash needs to tell in place of this, if it is exact. The commit names so many runs.
    pub(crate) fn kept(&self, runs: usize) -> Option<Kept> {
        let Self { finals, unrecorded, buried, .. } = *self;
        let (buried, runs) = (i64::try_from(buried.0).ok()?, u64::try_from(runs).ok()?);
        self.is_exact.then_some(Kept { finals, unrecorded, buried, runs })
    }

    /// The lanes of a run are gone. Answers how many requests came in there of which the log has no word: they were being
    /// judged when their process died, and nobody was answered.
    pub(crate) fn bury(&mut self, came: Net, finals: u64, unrecorded: u64) -> u64 {
        self.buried = Net(self.buried.0 + came.0);
        let without = came.0 - i128::from(finals) - i128::from(unrecorded);
        if self.is_exact { u64::try_from(without).unwrap_or(0) } else { 0 }
    }

    /// Whether it is time to tell. If so, it counts as told.
    pub(crate) fn is_due(&mut self, every: Duration) -> bool {
        let due = self.told.elapsed() >= every;
        if due {
            self.told = Instant::now();
        }
        due
    }

    /// What there is to tell, with so many final records in the batch, where so many came in.
    pub(crate) fn tell(&self, batched: u64, came: Net) -> Option<Told> {
        let requests = u64::try_from(self.buried.0 + came.0).unwrap_or(0);
        self.is_exact.then_some(Told { requests, finals: self.finals + self.owed + batched })
    }
}
