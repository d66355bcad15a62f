use crate::segment::LogId;
use crate::segment::commit::Commit;
use crate::segment::frame::{self, Damage, Kind};

/// The batches of a segment, or of the part of one that has been read, in order.
#[derive(Debug)]
pub(crate) struct Batches<'a> {
    bytes: &'a [u8],
    /// Where the bytes begin in the segment.
    base: u64,
    at: usize,
    chain: u32,
    log: LogId,
}

/// Records and the commit that put them into the log.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Each with its offset in the segment.
    pub(crate) records: Vec<(u64, &'a [u8])>,
    pub(crate) commit: Commit,
    /// Where the next batch begins in the segment.
    pub(crate) end: u64,
    pub(crate) chain: u32,
}

/// What stands in place of a batch.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// Bytes that are not whole, and behind them more of the log: something of the log was changed or lost. Reading goes
    /// on behind the commit that was found.
    Damaged { offset: u64, damage: Damage, found: Commit, end: u64, chain: u32 },
    /// A batch at the end that is not whole: a writer is at it, or was when it ended. It was never promised to anybody.
    Torn { start: u64, bytes: u64, damage: Damage },
}

impl<'a> Batches<'a> {
    pub(crate) const fn new(bytes: &'a [u8], base: u64, at: usize, chain: u32, log: LogId) -> Self {
        Self { bytes, base, at, chain, log }
    }

    fn place(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    fn batch(&self) -> Result<Batch<'a>, (usize, Damage)> {
        let (mut at, mut chain) = (self.at, self.chain);
        let mut records = Vec::new();
        loop {
            let frame = frame::read(self.bytes, at, chain).map_err(|damage| (at, damage))?;
            match frame.kind {
                Kind::Record => records.push((self.place(at), frame.payload)),
                Kind::Commit => {
                    let commit = Commit::decode(frame.payload, self.log)
                        .filter(|(_, length)| *length == frame.payload.len())
                        .map(|(commit, _)| commit)
                        .filter(|commit| commit.offset == self.place(at) && commit.start == self.place(self.at))
                        .ok_or((at, Damage::Commit))?;
                    return Ok(Batch { records, commit, end: self.place(frame.next), chain: frame.chain });
                }
            }
            (at, chain) = (frame.next, frame.chain);
        }
    }

    fn flaw(&mut self, at: usize, damage: Damage) -> Flaw {
        let offset = self.place(at);
        let mut from = at;
        while let Some(found) = Commit::find(self.bytes, from, self.base, self.log) {
            // A commit that ends the flawed batch proves nothing: parts of one write reach the disk in any order.
            // What comes after it was only written once that batch was on disk.
            if found.commit.start > offset || found.next < self.bytes.len() {
                (self.at, self.chain) = (found.next, found.chain);
                return Flaw::Damaged {
                    offset,
                    damage,
                    end: self.place(found.next),
                    chain: found.chain,
                    found: found.commit,
                };
            }
            from = found.next;
        }
        let (start, bytes) = (self.place(self.at), self.bytes.len() - self.at);
        self.at = self.bytes.len();
        Flaw::Torn { start, bytes: bytes as u64, damage }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        Some(match self.batch() {
            Ok(batch) => {
                self.at = usize::try_from(batch.end - self.base).unwrap_or(usize::MAX);
                self.chain = batch.chain;
                Ok(batch)
            }
            Err((at, damage)) => Err(self.flaw(at, damage)),
        })
    }
}
