use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use roaring::RoaringBitmap;
use serde::Deserialize;
use terms::RequestId;

use super::IndexError;
use super::form::{Block, Field, Fields, Head};
use crate::ReadError;
use crate::segment::batches::{Batch, Batches, Flaw};
use crate::segment::{self, HEADER, Header};

/// A block ends with the first batch beyond so many records.
const BLOCK: u32 = 256;

/// How many bytes are read at once; more where a batch has more.
const STEP: usize = 4 << 20;

/// What of a record can be asked for. Whatever else it has may be of a later version.
#[derive(Deserialize)]
struct Asked<'r> {
    time: &'r str,
    id: Option<&'r str>,
    stage: Option<&'r str>,
    kind: Option<&'r str>,
    tenant: Option<&'r str>,
    sub: Option<&'r str>,
    iss: Option<&'r str>,
    key: Option<&'r str>,
    reason: Option<&'r str>,
    route: Option<&'r str>,
    status: Option<u16>,
    decision: Option<&'r str>,
}

/// Reads a sealed segment to its end, each byte by its checksums.
pub(super) fn read(directory: &Path, first: u64) -> Result<(Head, Fields), IndexError> {
    let path = segment::path(directory, first);
    let failed = |error| IndexError::Io(path.clone(), error);
    let file = File::open(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut bytes = vec![0; HEADER];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    let (header, mut chain) = Header::decode(&bytes).map_err(|invalid| ReadError::Header(path.clone(), invalid))?;
    let mut making = Making::of(Head { log: header.log, first, length, ..Head::default() });
    let (mut offset, mut want) = (HEADER as u64, STEP);
    while offset < length {
        let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
        bytes.resize(left.min(want), 0);
        file.read_exact_at(&mut bytes, offset).map_err(failed)?;
        let begun = offset;
        for batch in Batches::new(&bytes, begun, 0, chain, header.log) {
            match batch {
                Ok(batch) => {
                    making.batch(&batch, offset, chain);
                    (offset, chain) = (batch.end, batch.chain);
                }
                Err(Flaw::Torn { .. }) if bytes.len() < left => break, // the rest of it has not been read
                Err(Flaw::Torn { damage, .. } | Flaw::Damaged { damage, .. }) => {
                    let index = first + u64::from(making.head.records);
                    return Err(ReadError::Damaged { segment: path, offset, index, damage }.into());
                }
            }
        }
        want = if offset == begun { want.saturating_mul(4) } else { STEP };
    }
    making.head.chain = chain;
    Ok((making.head, making.fields.done()))
}

struct Making {
    head: Head,
    fields: Sets,
}

impl Making {
    fn of(head: Head) -> Self {
        Self { head, fields: Sets::default() }
    }

    fn batch(&mut self, batch: &Batch<'_>, offset: u64, chain: u32) {
        self.head.last = batch.commit.offset;
        let ordinal = self.head.records;
        if self.head.blocks.last().is_none_or(|block| ordinal - block.ordinal >= BLOCK) {
            let (times, ids) = (([u8::MAX; 24], [0; 24]), (u128::MAX, 0));
            self.head.blocks.push(Block { ordinal, offset, chain, times, ids });
        }
        for (_, json) in &batch.records {
            self.record(json);
            self.head.records += 1;
        }
    }

    fn record(&mut self, json: &[u8]) {
        let ordinal = self.head.records;
        let asked = serde_json::from_slice::<Asked<'_>>(json).ok();
        let time = asked.as_ref().and_then(|asked| <[u8; 24]>::try_from(asked.time.as_bytes()).ok());
        let id =
            asked.as_ref().and_then(|asked| asked.id.map_or(Some(None), |id| id.parse::<RequestId>().ok().map(Some)));
        let Some(block) = self.head.blocks.last_mut() else { return };
        let (Some(asked), Some(time), Some(id)) = (asked, time, id) else {
            self.fields.put(Field::Unread, "", ordinal);
            (block.times, block.ids) = (([0; 24], [u8::MAX; 24]), (0, u128::MAX));
            return;
        };
        block.times = (block.times.0.min(time), block.times.1.max(time));
        if let Some(id) = id.map(RequestId::as_u128) {
            block.ids = (block.ids.0.min(id), block.ids.1.max(id));
        }
        let Asked { time: _, id: _, stage, kind, tenant, sub, iss, key, reason, route, status, decision } = asked;
        let fields = [
            (Field::Kind, stage.or(kind)),
            (Field::Tenant, tenant),
            (Field::Sub, sub),
            (Field::Iss, iss),
            (Field::Key, key),
            (Field::Reason, reason),
            (Field::Route, route),
            (Field::Decision, decision),
        ];
        for (field, value) in fields {
            match value {
                Some(value) if value.len() <= usize::from(u8::MAX) => self.fields.put(field, value, ordinal),
                Some(_) => self.fields.put(Field::Unread, "", ordinal),
                None => {}
            }
        }
        if let Some(status) = status {
            self.fields.status(status, ordinal);
        }
    }
}

/// The records of each value, while they come in.
#[derive(Default)]
struct Sets {
    texts: [HashMap<Box<[u8]>, RoaringBitmap>; 11],
    statuses: HashMap<u16, RoaringBitmap>,
}

impl Sets {
    fn put(&mut self, field: Field, value: &str, ordinal: u32) {
        let Some(set) = self.texts.get_mut(field as usize) else { return };
        match set.get_mut(value.as_bytes()) {
            Some(records) => drop(records.insert(ordinal)),
            None => drop(set.insert(value.as_bytes().into(), [ordinal].into_iter().collect())),
        }
    }

    fn status(&mut self, status: u16, ordinal: u32) {
        self.statuses.entry(status).or_default().insert(ordinal);
    }

    fn done(self) -> Fields {
        let statuses = self.statuses.into_iter().map(|(status, records)| {
            ((Field::Status as u8, status.to_string().into_bytes().into_boxed_slice()), records)
        });
        let texts = (0_u8..)
            .zip(self.texts)
            .flat_map(|(field, set)| set.into_iter().map(move |(value, records)| ((field, value), records)));
        texts.chain(statuses).collect()
    }
}
