use std::sync::atomic::{AtomicU64, Ordering};

use crate::lane::map::{load, store};

/// The ring of one lane: frames one after the other, at positions that only ever grow (in words; the place in the ring
/// is the position modulo its size).
///
/// A frame is one word `length u32 | crc32c u32`, then the payload filled up to whole words. The checksum also covers the
/// run, the lane and the position, so that what an earlier lap or an earlier run left there never passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a> {
    pub(crate) cells: &'a [AtomicU64],
    pub(crate) epoch: u64,
    pub(crate) lane: u16,
}

/// The longest payload of a frame, in bytes.
pub(crate) const PAYLOAD_MAX: usize = 2048;

/// How many words a frame takes.
pub(crate) const fn frame_words(length: usize) -> u64 {
    (1 + length.div_ceil(8)) as u64
}

impl<'a> Ring<'a> {
    /// The words of the ring.
    pub(crate) const fn size(self) -> u64 {
        self.cells.len() as u64
    }

    /// Puts a frame at a position that the reader has left behind. Answers where the next one goes.
    pub(crate) fn write(self, position: u64, payload: &[u8]) -> u64 {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = u64::from(length) | (u64::from(self.checksum(position, payload)) << 32);
        let (front, back) = self.split(position);
        let (first, rest) = back.split_first().map_or((None, back), |(first, rest)| (Some(first), rest));
        if let Some(cell) = first {
            cell.store(head, Ordering::Relaxed);
        }
        let (here, wrapped) = payload.split_at(payload.len().min(rest.len() * 8));
        store(rest, here);
        store(front, wrapped);
        position + frame_words(payload.len())
    }

    /// Appends the payload at a position and answers where the next frame is, or nothing if there is no frame that is
    /// whole, belongs here, and ends at `end` at the latest.
    pub(crate) fn read(self, position: u64, end: u64, into: &mut Vec<u8>) -> Option<u64> {
        let (front, back) = self.split(position);
        let (head, rest) = back.split_first()?;
        let head = head.load(Ordering::Relaxed);
        let length = usize::try_from(head & u64::from(u32::MAX)).ok()?;
        let next = position + frame_words(length.min(PAYLOAD_MAX));
        if length == 0 || length > PAYLOAD_MAX || next > end {
            return None;
        }
        let start = into.len();
        load(rest, length, into);
        load(front, length - (into.len() - start), into);
        let whole = u64::from(self.checksum(position, into.get(start..)?)) == head >> 32;
        if !whole {
            into.truncate(start);
        }
        whole.then_some(next)
    }

    /// What lies before the place of this position, and what from it on.
    fn split(self, position: u64) -> (&'a [AtomicU64], &'a [AtomicU64]) {
        let place = usize::try_from(position % self.size().max(1)).unwrap_or(0);
        self.cells.split_at(place.min(self.cells.len()))
    }

    fn checksum(self, position: u64, payload: &[u8]) -> u32 {
        let mut place = [0; 18];
        let [epoch, at] = [self.epoch.to_le_bytes(), position.to_le_bytes()];
        for (to, from) in place.iter_mut().zip(epoch.iter().chain(&at).chain(&self.lane.to_le_bytes())) {
            *to = *from;
        }
        crc32c::crc32c_append(crc32c::crc32c(&place), payload)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(size: usize) -> Vec<AtomicU64> {
        (0..size).map(|_| AtomicU64::new(0)).collect()
    }

    proptest! {
        #[test]
        fn frames_wrap_around_and_come_back_whole(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..200),
            start in 0_u64..1_000,
        ) {
            let cells = cells(64);
            let ring = Ring { cells: &cells, epoch: 7, lane: 1 };
            let mut position = start;
            for payload in payloads {
                let next = ring.write(position, &payload);
                let mut back = Vec::new();
                prop_assert_eq!(ring.read(position, next, &mut back), Some(next));
                prop_assert_eq!(back, payload);
                position = next;
            }
        }
    }

    #[test]
    fn a_frame_of_another_lap_run_or_lane_is_none() {
        let cells = cells(64);
        let ring = Ring { cells: &cells, epoch: 7, lane: 1 };
        let end = ring.write(3, b"record");
        let mut into = Vec::new();
        assert_eq!(ring.read(3, end, &mut into), Some(end));
        assert_eq!(ring.read(3 + 64, end + 64, &mut into), None);
        assert_eq!(Ring { epoch: 8, ..ring }.read(3, end, &mut into), None);
        assert_eq!(Ring { lane: 2, ..ring }.read(3, end, &mut into), None);
        assert_eq!(ring.read(3, end - 1, &mut into), None, "a frame that is not published is none");
        assert_eq!(into, b"record");
    }
}
