//! Another run whose lanes this committer collects: that of a process which has handed the log over and comes to its end,
//! or which has died after it took the log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::lane::Lane;
use crate::open::OpenError;
use crate::recover;

/// How often the folder is looked through for lanes that the other process has made since.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) epoch: u64,
    /// Whether its process is gone: what its lanes hold now is all that there will be.
    pub(crate) gone: Arc<AtomicBool>,
    looked: Option<Instant>,
    known: Vec<u16>,
}

impl Beside {
    pub(crate) const fn new(epoch: u64, gone: Arc<AtomicBool>) -> Self {
        Self { epoch, gone, looked: None, known: Vec::new() }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The lanes that are new since the last look.
    pub(crate) fn new_lanes(&mut self, directory: &Path, look: Look) -> Result<Vec<Lane>, OpenError> {
        if look == Look::NowAndThen && self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(Vec::new());
        }
        self.looked = Some(Instant::now());
        let mut lanes = Vec::new();
        let prefix = format!("{:016x}-", self.epoch);
        for path in recover::lane_files(directory)? {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(&prefix));
            let number = name.and_then(|name| name.strip_suffix(".lane")?.parse().ok());
            if number.is_none_or(|number| self.known.contains(&number)) {
                continue;
            }
            // One that is just being made is not whole yet, and will be found by a later look.
            if let Ok(Some(lane)) = Lane::left_behind(&path)
                && lane.owner.epoch == self.epoch
            {
                self.known.push(lane.owner.number);
                lanes.push(lane);
            }
        }
        Ok(lanes)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    NowAndThen,
    Now,
}
