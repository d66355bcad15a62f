//! Each tenant's records are a chain of their own within the log: `tseq` counts them, `tprev` is the leaf hash of the one
//! before. Whoever is shown all records of one tenant sees that none is missing, without those of any other.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tlog::{Hash, leaf_hash};

use crate::open::OpenError;
use crate::reader::Reader;
use crate::segment::{LogId, sync_directory};

/// How far each tenant's chain is, on disk and in the batch that is being made.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    heads: HashMap<Box<str>, Head>,
    /// What the batch brings. It is forgotten with it.
    batch: HashMap<Box<str>, Head>,
    salts: Salts,
    line: Vec<u8>,
}

/// The last record of a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    count: u64,
    hash: Hash,
}

const MAGIC: &[u8; 8] = b"clsthead";

impl Chains {
    /// As the log has them, of which so many records are committed. What was kept when the last segment was begun is taken
    /// from there, and the rest is read.
    pub(crate) fn of(directory: &Path, log: LogId, records: u64) -> Result<Self, OpenError> {
        let kept = Kept::read(directory).filter(|kept| kept.log == log && kept.records <= records);
        let (from, heads) = kept.map_or_else(|| (0, HashMap::new()), |kept| (kept.records, kept.heads));
        let mut chains = Self { heads, ..Self::default() };
        for stored in Reader::from(directory, from)? {
            let stored = stored?;
            if stored.index >= records {
                break;
            }
            if let Some(tenant) = tenant_of(&stored.json) {
                let count = count_in(&stored.json).unwrap_or_default();
                chains.heads.insert(tenant.into(), Head { count, hash: leaf_hash(&stored.json) });
            }
        }
        Ok(chains)
    }

    /// A record as it goes into the log: with its place in the chain of its tenant, if it names one, and with a salt, so that
    /// nobody can guess it by its hash.
    pub(crate) fn link(&mut self, record: &[u8]) -> io::Result<&[u8]> {
        let salt = self.salts.next()?;
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(record.strip_suffix(b"}").unwrap_or(record));
        let tenant = tenant_of(record);
        let before = tenant.and_then(|tenant| self.batch.get(tenant).or_else(|| self.heads.get(tenant))).copied();
        let count = before.map_or(1, |head| head.count + 1);
        if tenant.is_some() {
            line.extend_from_slice(format!(r#","tseq":{count}"#).as_bytes());
        }
        if let Some(before) = before {
            put(line, r#","tprev":""#, before.hash.as_bytes());
        }
        put(line, r#","salt":""#, &salt);
        line.push(b'}');
        if let Some(tenant) = tenant {
            let head = Head { count, hash: leaf_hash(line) };
            match self.batch.get_mut(tenant) {
                Some(of_tenant) => *of_tenant = head,
                None => drop(self.batch.insert(tenant.into(), head)),
            }
        }
        Ok(line)
    }

    /// The batch is on disk.
    pub(crate) fn keep(&mut self) {
        self.heads.extend(self.batch.drain());
    }

    /// The batch is not, and will be made again.
    pub(crate) fn forget(&mut self) {
        self.batch.clear();
    }

    /// Up to which record the heads are kept. Records before it may be pruned: where a chain goes on is known without them.
    pub(crate) fn kept(directory: &Path) -> Option<u64> {
        Kept::read(directory).map(|kept| kept.records)
    }

    /// Keeps them for the next start, which would have to read the whole log otherwise, and perhaps could not: what they were
    /// made of may be pruned.
    pub(crate) fn save(&self, directory: &Path, log: LogId, records: u64) {
        let path = Kept::path(directory);
        let draft = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&draft)?;
            file.write_all(&Kept::encode(&self.heads, log, records))?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            sync_directory(directory)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), %error, "the next start has to read the whole audit log");
        }
    }
}

fn put(line: &mut Vec<u8>, lead: &str, bytes: &[u8]) {
    line.extend_from_slice(lead.as_bytes());
    line.extend_from_slice(URL_SAFE_NO_PAD.encode(bytes).as_bytes());
    line.push(b'"');
}

/// The tenant that a record names. No text of anybody else's can look like it: quotes are escaped in all of it, and details that
/// a backend gave a name stand behind it.
pub(crate) fn tenant_of(record: &[u8]) -> Option<&str> {
    let rest = after(record, br#","tenant":""#)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

fn count_in(record: &[u8]) -> Option<u64> {
    // The last of this name: what a backend tells in details stands before it, and may have the same.
    let lead = br#","tseq":"#;
    let at = record.windows(lead.len()).rposition(|window| window == lead)?;
    let rest = record.get(at + lead.len()..)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

fn after<'r>(record: &'r [u8], lead: &[u8]) -> Option<&'r [u8]> {
    let at = record.windows(lead.len()).position(|window| window == lead)?;
    record.get(at + lead.len()..)
}

/// 16 random bytes for each record, fetched many at a time.
#[derive(Debug)]
struct Salts {
    bytes: Box<[u8; 4096]>,
    used: usize,
}

impl Default for Salts {
    fn default() -> Self {
        Self { bytes: Box::new([0; 4096]), used: 4096 }
    }
}

impl Salts {
    fn next(&mut self) -> io::Result<[u8; 16]> {
        if self.used >= self.bytes.len() {
            rand::fill(&mut *self.bytes).map_err(|_| io::Error::other("no randomness"))?;
            self.used = 0;
        }
        let salt = self.bytes.get(self.used..).and_then(|rest| rest.first_chunk::<16>()).copied();
        self.used += 16;
        salt.ok_or_else(|| io::Error::other("no randomness"))
    }
}

/// `chains` in the folder of the log: `magic 8 | log 16 | records u64le | (length u8 | tenant | count u64le | hash 32)… |
/// crc32c`.
struct Kept {
    log: LogId,
    records: u64,
    heads: HashMap<Box<str>, Head>,
}

impl Kept {
    fn path(directory: &Path) -> PathBuf {
        directory.join("chains")
    }

    fn encode(heads: &HashMap<Box<str>, Head>, log: LogId, records: u64) -> Vec<u8> {
        let mut bytes = [MAGIC.as_slice(), &log, &records.to_le_bytes()].concat();
        for (tenant, head) in heads {
            bytes.push(u8::try_from(tenant.len()).unwrap_or(u8::MAX)); // a name has 63 bytes at most
            bytes.extend_from_slice(tenant.as_bytes());
            bytes.extend_from_slice(&head.count.to_le_bytes());
            bytes.extend_from_slice(head.hash.as_bytes());
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Nothing, if it is not there or not whole: the log says the same.
    fn read(directory: &Path) -> Option<Self> {
        let bytes = fs::read(Self::path(directory)).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (log, rest) = body.strip_prefix(MAGIC)?.split_first_chunk::<16>()?;
        let (records, mut rest) = rest.split_first_chunk::<8>()?;
        let mut heads = HashMap::new();
        while let Some((length, after)) = rest.split_first() {
            let (tenant, after) = after.split_at_checked(usize::from(*length))?;
            let (count, after) = after.split_first_chunk::<8>()?;
            let (hash, after) = after.split_first_chunk::<32>()?;
            let head = Head { count: u64::from_le_bytes(*count), hash: Hash::from(*hash) };
            heads.insert(std::str::from_utf8(tenant).ok()?.into(), head);
            rest = after;
        }
        Some(Self { log: *log, records: u64::from_le_bytes(*records), heads })
    }
}
