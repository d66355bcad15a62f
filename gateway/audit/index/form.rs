//! How an index stands in its file, all numbers little-endian:
//!
//! `magic 8 | version u32 | length of the head u32 | head | HMAC-SHA-256 of everything before 32 | pages`
//!
//! The head is `log 16 | first u64 | records u32 | length of the segment u64 | place of its last commit u64 | last
//! checksum u32`, then the blocks, then the pages, each list with its count before it. A page is a part of the values of one
//! field in order: `length u8 | value | length u32 | set of records (the portable format of Roaring bitmaps)`.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use aws_lc_rs::digest::{SHA256, digest};
use roaring::RoaringBitmap;

use crate::LogKey;
use crate::segment::LogId;

const MAGIC: &[u8; 8] = b"clstridx";
const VERSION: u32 = 1;
const LEAD: usize = 16;
const TAG: usize = 32;

/// A page ends with the first value beyond so many bytes.
const PAGE: usize = 64 << 10;

/// No head is larger: a segment has fewer blocks and values than that would take.
const HEAD_MAX: usize = 64 << 20;

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Field {
    Tenant = 1,
    Sub = 2,
    Iss = 3,
    Key = 4,
    Reason = 5,
    Route = 6,
    Status = 7,
    Decision = 8,
    /// The stage of a request's record, or the kind of one of the log's own.
    Kind = 9,
    /// What was not understood: it may be what is asked for, whatever that is.
    Unread = 10,
}

/// The records of each value of each field.
pub(crate) type Fields = BTreeMap<(u8, Box<[u8]>), RoaringBitmap>;

/// What stands at the beginning of an index.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Head {
    pub(crate) log: LogId,
    pub(crate) first: u64,
    pub(crate) records: u32,
    /// How long the segment is.
    pub(crate) length: u64,
    /// Where its last commit stands.
    pub(crate) last: u64,
    /// The checksum of that frame.
    pub(crate) chain: u32,
    pub(crate) blocks: Vec<Block>,
    pub(crate) pages: Vec<Page>,
    /// Where the pages begin in the file.
    pub(crate) body: u64,
}

/// Some batches that follow each other, so that records can be read without those before them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    /// Which record of the segment is the first.
    pub(crate) ordinal: u32,
    /// Where it begins.
    pub(crate) offset: u64,
    /// What its first checksum goes on from.
    pub(crate) chain: u32,
    /// The earliest and the latest time, as text.
    pub(crate) times: ([u8; 24], [u8; 24]),
    /// The lowest and the highest id of a request.
    pub(crate) ids: (u128, u128),
}

/// Where some values of a field stand.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Page {
    field: u8,
    /// The first value that stands there.
    first: Box<[u8]>,
    offset: u64,
    length: u32,
    hash: [u8; 32],
}

pub(crate) fn encode(mut head: Head, fields: Fields, key: &LogKey) -> Vec<u8> {
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    let mut begun: Option<(u8, Box<[u8]>)> = None;
    let mut end = |page: &mut Vec<u8>, begun: Option<(u8, Box<[u8]>)>, pages: &mut Vec<u8>| {
        let Some((field, first)) = begun else { return };
        let (offset, length) = (pages.len() as u64, u32::try_from(page.len()).unwrap_or(u32::MAX));
        head.pages.push(Page { field, first, offset, length, hash: sha256(page) });
        pages.append(page);
    };
    for ((field, value), mut records) in fields {
        if page.len() >= PAGE || begun.as_ref().is_some_and(|(of, _)| *of != field) {
            end(&mut page, begun.take(), &mut pages);
        }
        page.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        page.extend_from_slice(&value);
        records.optimize();
        page.extend_from_slice(&u32::try_from(records.serialized_size()).unwrap_or(u32::MAX).to_le_bytes());
        let _never_fails_in_memory = records.serialize_into(&mut page);
        begun.get_or_insert((field, value));
    }
    end(&mut page, begun.take(), &mut pages);
    let mut bytes = MAGIC.to_vec();
    let body = put(&head);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&body);
    let tag = key.tag(&bytes);
    bytes.extend_from_slice(&tag);
    bytes.extend_from_slice(&pages);
    bytes
}

fn put(head: &Head) -> Vec<u8> {
    let Head { log, first, records, length, last, chain, blocks, pages, body: _ } = head;
    let mut bytes = log.to_vec();
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&records.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&last.to_le_bytes());
    bytes.extend_from_slice(&chain.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
    for Block { ordinal, offset, chain, times, ids } in blocks {
        bytes.extend_from_slice(&ordinal.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&chain.to_le_bytes());
        bytes.extend_from_slice(&times.0);
        bytes.extend_from_slice(&times.1);
        bytes.extend_from_slice(&ids.0.to_le_bytes());
        bytes.extend_from_slice(&ids.1.to_le_bytes());
    }
    bytes.extend_from_slice(&u32::try_from(pages.len()).unwrap_or(u32::MAX).to_le_bytes());
    for Page { field, first, offset, length, hash } in pages {
        bytes.push(*field);
        bytes.push(u8::try_from(first.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(hash);
    }
    bytes
}

/// Reads a head whose tag is right.
pub(crate) fn head(file: &File, key: &LogKey) -> Option<Head> {
    let mut lead = [0; LEAD];
    file.read_exact_at(&mut lead, 0).ok()?;
    let mut take = Take(&lead);
    if take.array::<8>()? != *MAGIC || take.u32()? != VERSION {
        return None;
    }
    let length = usize::try_from(take.u32()?).ok().filter(|length| *length <= HEAD_MAX)?;
    let mut bytes = vec![0; LEAD + length + TAG];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let (tagged, tag) = bytes.split_at_checked(LEAD + length)?;
    if !key.has_tagged(tagged, tag) {
        return None;
    }
    let mut take = Take(tagged.get(LEAD..)?);
    let mut head = Head {
        log: take.array()?,
        first: take.u64()?,
        records: take.u32()?,
        length: take.u64()?,
        last: take.u64()?,
        chain: take.u32()?,
        body: bytes.len() as u64,
        ..Head::default()
    };
    for _ in 0..take.u32()? {
        head.blocks.push(Block {
            ordinal: take.u32()?,
            offset: take.u64()?,
            chain: take.u32()?,
            times: (take.array()?, take.array()?),
            ids: (u128::from_le_bytes(take.array()?), u128::from_le_bytes(take.array()?)),
        });
    }
    for _ in 0..take.u32()? {
        let (field, first) = (take.u8()?, take.counted()?.into());
        head.pages.push(Page { field, first, offset: take.u64()?, length: take.u32()?, hash: take.array()? });
    }
    Some(head)
}

/// The records with this value: nothing, if the page cannot be believed.
pub(crate) fn find(file: &File, head: &Head, field: Field, value: &[u8]) -> Option<RoaringBitmap> {
    let of_field = |page: &&Page| page.field == field as u8 && *page.first <= *value;
    let Some(page) = head.pages.iter().rfind(of_field) else { return Some(RoaringBitmap::new()) };
    let bytes = read(file, head, page)?;
    let mut take = Take(&bytes);
    while !take.0.is_empty() {
        let (found, records) = (take.counted()?, take.long()?);
        if found == value {
            return RoaringBitmap::deserialize_from(records).ok();
        }
    }
    Some(RoaringBitmap::new())
}

/// Every value of a field.
pub(crate) fn values(file: &File, head: &Head, field: Field) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for page in head.pages.iter().filter(|page| page.field == field as u8) {
        let bytes = read(file, head, page)?;
        let mut take = Take(&bytes);
        while !take.0.is_empty() {
            values.push(String::from_utf8_lossy(take.counted()?).into_owned());
            take.long()?;
        }
    }
    Some(values)
}

fn read(file: &File, head: &Head, page: &Page) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(page.length).ok()?];
    file.read_exact_at(&mut bytes, head.body.checked_add(page.offset)?).ok()?;
    (sha256(&bytes) == page.hash).then_some(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Takes one thing after the other off the front of some bytes.
struct Take<'b>(&'b [u8]);

impl<'b> Take<'b> {
    fn bytes(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// What has its length in the byte before it.
    fn counted(&mut self) -> Option<&'b [u8]> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// What has its length in the four bytes before it.
    fn long(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.bytes(length)
    }
}
