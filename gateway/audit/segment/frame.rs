use thiserror::Error;

/// What a frame holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Record = 1,
    Commit = 2,
}

/// One frame: `kind u8 and length u24, as one u32le | crc32c u32le | payload`.
///
/// The checksum goes on from the one of the frame before it (the first from that of the segment's header), so that no
/// frame can go missing, come twice or change places without the next one showing it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
    /// Where the next frame begins.
    pub(crate) next: usize,
    /// What the next frame's checksum goes on from.
    pub(crate) chain: u32,
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Damage {
    /// The checksum does not fit.
    #[error("the checksum of this frame does not fit")]
    Checksum,
    /// It is a commit, but not one that belongs here.
    #[error("this commit does not belong here")]
    Commit,
    /// Neither a record nor a commit.
    #[error("this is not a frame")]
    Kind,
    /// The bytes end before the frame does.
    #[error("this frame is cut off")]
    Short,
}

pub(crate) const HEAD: usize = 8;
const LENGTH: u32 = (1 << 24) - 1;

/// Appends a frame and moves the chain on. The payload is shorter than 16 MiB: records and commits are.
pub(crate) fn append(out: &mut Vec<u8>, chain: &mut u32, kind: Kind, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(LENGTH) & LENGTH;
    let head = (((kind as u32) << 24) | length).to_le_bytes();
    *chain = crc32c::crc32c_append(crc32c::crc32c_append(*chain, &head), payload);
    out.extend_from_slice(&head);
    out.extend_from_slice(&chain.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads the frame at an offset, or says why there is none.
pub(crate) fn read(bytes: &[u8], offset: usize, chain: u32) -> Result<Frame<'_>, Damage> {
    let rest = bytes.get(offset..).ok_or(Damage::Short)?;
    let (head, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Short)?;
    let (checksum, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Short)?;
    let word = u32::from_le_bytes(*head);
    let kind = match word >> 24 {
        1 => Kind::Record,
        2 => Kind::Commit,
        _ => return Err(Damage::Kind),
    };
    let length = usize::try_from(word & LENGTH).map_err(|_| Damage::Short)?;
    let payload = rest.get(..length).ok_or(Damage::Short)?;
    let chain = crc32c::crc32c_append(crc32c::crc32c_append(chain, head), payload);
    if chain != u32::from_le_bytes(*checksum) {
        return Err(Damage::Checksum);
    }
    Ok(Frame { kind, payload, next: offset + HEAD + length, chain })
}
