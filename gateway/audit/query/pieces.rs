use std::collections::VecDeque;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Sieve, Which};
use crate::index::{Block, Field, Reading};
use crate::reader::{ReadError, Stored};
use crate::segment::batches::{Batches, Flaw};

/// A block of which some records may be wanted.
#[derive(Debug)]
pub(super) struct Piece {
    reading: Arc<Reading>,
    block: Block,
    /// Where it ends.
    end: u64,
    /// Which records of the segment are to be looked at: all, if it is none.
    wanted: Option<RoaringBitmap>,
}

/// The blocks of a segment that must be read. `None`: its index cannot be believed.
pub(super) fn of(reading: Reading, sieve: &mut Sieve) -> Option<VecDeque<Piece>> {
    let wanted = wanted(&reading, sieve)?;
    let reading = Arc::new(reading);
    let head = &reading.head;
    let mut pieces = VecDeque::new();
    for (at, block) in head.blocks.iter().enumerate() {
        let next = head.blocks.get(at + 1);
        let last = next.map_or(head.records, |next| next.ordinal);
        let wanted = wanted.as_ref().map(|wanted| {
            let mut of_block = wanted.clone();
            of_block.remove_range(..block.ordinal);
            of_block.remove_range(last..);
            of_block
        });
        if last == block.ordinal || wanted.as_ref().is_some_and(RoaringBitmap::is_empty) || !may_hold(block, sieve) {
            continue;
        }
        let end = next.map_or(head.length, |next| next.offset);
        pieces.push_back(Piece { reading: Arc::clone(&reading), block: *block, end, wanted });
    }
    Some(pieces)
}

/// The records that may fit, by what they say. Outer `None`: the index cannot be believed. Inner: each may.
fn wanted(reading: &Reading, sieve: &mut Sieve) -> Option<Option<RoaringBitmap>> {
    let subs = if sieve.query.subject.is_some() {
        let issuers = reading.values(Field::Iss)?;
        let hidden = issuers.iter().filter_map(|issuer| sieve.hidden(issuer)).collect::<Vec<_>>();
        Some([hidden, sieve.query.names.clone()].concat())
    } else {
        None
    };
    let query = &sieve.query;
    let status = query.status.map(|status| status.to_string());
    let one = [
        (Field::Kind, (query.which == Which::Finals).then_some("final")),
        (Field::Kind, query.kind.as_deref()),
        (Field::Tenant, query.tenant.as_ref().map(|tenant| tenant.as_str())),
        (Field::Sub, query.sub.as_deref()),
        (Field::Key, query.key.as_deref()),
        (Field::Reason, query.reason.map(|reason| reason.as_str())),
        (Field::Route, query.route.as_deref()),
        (Field::Status, status.as_deref()),
        (Field::Decision, query.decision.map(|decision| decision.as_str())),
    ];
    let mut wanted: Option<RoaringBitmap> = None;
    let mut narrow = |records: RoaringBitmap| {
        wanted = Some(match wanted.take() {
            Some(wanted) => wanted & records,
            None => records,
        });
    };
    if let Some(subs) = &subs {
        narrow(reading.any_of(Field::Sub, subs.iter().map(crate::Pseudonym::as_str))?);
    }
    for (field, value) in one {
        if let Some(value) = value {
            narrow(reading.any_of(field, [value])?);
        }
    }
    if let Some(places) = &query.places {
        let first = reading.head.first;
        let ordinal = |place: u64| u32::try_from(place.saturating_sub(first)).unwrap_or(u32::MAX);
        let mut within = RoaringBitmap::new();
        within.insert_range(ordinal(*places.start())..=ordinal(*places.end()));
        narrow(within);
    }
    let unread = reading.any_of(Field::Unread, [""])?;
    Some(wanted.map(|wanted| wanted | unread))
}

/// Whether a record of this block can be of the wanted time and request.
fn may_hold(block: &Block, sieve: &Sieve) -> bool {
    let Block { times: (earliest, latest), ids: (lowest, highest), .. } = block;
    sieve.from.as_ref().is_none_or(|from| latest.as_slice() >= from.as_slice())
        && sieve.to.as_ref().is_none_or(|to| earliest.as_slice() < to.as_slice())
        && sieve.query.id.is_none_or(|id| (*lowest..=*highest).contains(&id.as_u128()))
}

impl Piece {
    /// Reads what may be wanted, with its checksums.
    pub(super) fn read(&self) -> Vec<Result<Stored, ReadError>> {
        let Reading { head, segment, segment_path, .. } = &*self.reading;
        let Block { ordinal, offset, chain, .. } = self.block;
        let mut bytes = vec![0; usize::try_from(self.end - offset).unwrap_or_default()];
        if let Err(error) = segment.read_exact_at(&mut bytes, offset) {
            return vec![Err(ReadError::Io(segment_path.clone(), error))];
        }
        let mut found = Vec::new();
        let mut at = ordinal;
        for batch in Batches::new(&bytes, offset, 0, chain, head.log) {
            match batch {
                Ok(batch) => {
                    for (_, json) in batch.records {
                        if self.wanted.as_ref().is_none_or(|wanted| wanted.contains(at)) {
                            found.push(Ok(Stored { index: head.first + u64::from(at), json: json.to_vec() }));
                        }
                        at += 1;
                    }
                }
                Err(flaw) => {
                    let (offset, damage, after) = match flaw {
                        Flaw::Damaged { offset, damage, found, .. } => (offset, damage, Some(found.records)),
                        Flaw::Torn { start, damage, .. } => (start, damage, None),
                    };
                    let index = head.first + u64::from(at);
                    found.push(Err(ReadError::Damaged { segment: segment_path.clone(), offset, index, damage }));
                    let Some(after) = after.and_then(|after| u32::try_from(after.checked_sub(head.first)?).ok()) else {
                        break;
                    };
                    at = after;
                }
            }
        }
        found
    }
}
