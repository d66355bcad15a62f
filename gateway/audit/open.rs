use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use terms::Clock;

use crate::accounts::Told;
use crate::beside::Beside;
use crate::chains::Chains;
use crate::committer::Committer;
use crate::journal::{Parts, Shared};
use crate::lane::Shape;
use crate::line::Line;
use crate::log::{Log, Tip};
use crate::reader::ReadError;
use crate::recover::{self, Account, Damage, Found};
use crate::segment::commit::Run;
use crate::segment::{LogId, sync_directory};
use crate::{Journal, LogKey, LogKeyError, Settings, record};

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something behind which there is more of the log is not as it was written. It is not cut off: records that were
    /// promised would go. Move the directory away, keep it, and find out why.
    #[error("`{segment}` is damaged at byte {offset}: {what}")]
    Corrupt {
        /// The file.
        segment: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The name of the instance cannot stand in records.
    #[error("an instance is named by 1 to 64 letters, digits and `_ - . : /`, not by `{0}`")]
    Instance(String),
    /// A file or folder of the log cannot be used.
    #[error("cannot {what} `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The key cannot be used.
    #[error("cannot use the audit log's key")]
    Key(#[from] LogKeyError),
    /// Another process has the log.
    #[error("another process writes to the audit log in `{0}`")]
    Locked(PathBuf),
    /// What is in it cannot be read.
    #[error("the audit log is damaged")]
    Read(#[from] ReadError),
    /// A size or time in the settings is too small to work with.
    #[error("the audit log needs a ring of 64 KiB, segments of 64 KiB, a request in flight and a thread at least")]
    Small,
}

impl OpenError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

impl Journal {
    /// Opens the log, or makes it, and takes up what an earlier run could not bring into it. All of that is on disk when
    /// this returns.
    ///
    /// # Errors
    /// When the log is damaged, in use, or cannot be read and written.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Arc<Self>, Committer), OpenError> {
        check(&settings)?;
        let directory = settings.directory.clone();
        let lock = claim(&directory)?;
        let key = LogKey::read_or_make(&directory)?;
        let epoch = u64::from_le_bytes(random(&directory)?);
        let now = clock.now();
        let failed = |source| OpenError::io("write to the log in", &directory, source);

        let found = recover::find(&directory)?;
        let mut damage = Damage::default();
        let mut account = None;
        let mut log;
        if let Some(mut found) = found {
            log = take_up(&directory, &found, now)?;
            account = recover::take_lanes(&directory, &mut found, |record| log.record(record))?;
            damage = found.damage;
        } else {
            let id: LogId = random(&directory)?;
            let tip = Tip { sequence: 0, records: 0, chain: 0, first: 0, length: 0 };
            log = Log::at(directory.clone(), id, tip, Chains::default());
            log.begin(&[Run { epoch, lanes: Vec::new() }], now).map_err(failed)?;
        }
        tell(&mut log, &settings, damage, account, now);
        log.commit(&[Run { epoch, lanes: Vec::new() }], now).map_err(failed)?;
        // ORDER: the log has the new run on disk, so what the lanes of the old one hold is not looked at again.
        for path in recover::lane_files(&directory)? {
            fs::remove_file(&path).map_err(|error| OpenError::io("remove", &path, error))?;
        }
        Self::running(Parts { settings, clock, key, epoch, records: log.tip().records, lock }, log, Vec::new())
    }
}

impl Journal {
    /// Begins a run whose log is open, and which writes for these other runs, too.
    pub(crate) fn running(parts: Parts, log: Log, beside: Vec<Beside>) -> Result<(Arc<Self>, Committer), OpenError> {
        let shared = Shared::new(parts);
        lane_for_notes(&shared)?;
        shared.counters.healthy.store(true, Ordering::Release);
        let committer = Committer::new(Arc::clone(&shared), log, beside);
        committer.keep_accounts(committer.beside.len() + 1);
        Ok((Arc::new(Self { shared }), committer))
    }
}

/// Goes on where the log ends. ORDER: the runs that it names stay on whatever is written until their lanes have been taken.
pub(crate) fn take_up(directory: &Path, found: &Found, now: SystemTime) -> Result<Log, OpenError> {
    let chains = Chains::of(directory, found.id, found.tip.records)?;
    let mut log = Log::at(directory.to_owned(), found.id, found.tip, chains);
    let taken = if found.headless { log.begin(&found.last.runs, now) } else { log.resume() };
    taken.map_err(|source| OpenError::io("write to the log in", directory, source))?;
    Ok(log)
}

pub(crate) fn random<const N: usize>(directory: &Path) -> Result<[u8; N], OpenError> {
    let mut bytes = [0; N];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    filled.map_err(|_| OpenError::io("fill", directory, io::Error::other("no randomness")))?;
    Ok(bytes)
}

pub(crate) fn check(settings: &Settings) -> Result<(), OpenError> {
    let Settings {
        directory: _,
        instance,
        segment_bytes,
        ring_bytes,
        in_flight,
        threads,
        commit_interval: _,
        strict_timeout: _,
        retry: _,
        heartbeat: _,
        seal_after: _,
        by: _,
    } = settings;
    let named = !instance.is_empty()
        && instance.len() <= 64
        && instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
    if !named {
        return Err(OpenError::Instance(instance.clone()));
    }
    if *segment_bytes < 65_536 || *ring_bytes < 65_536 || *in_flight == 0 || *threads == 0 {
        return Err(OpenError::Small);
    }
    Ok(())
}

/// Makes the folders and keeps other writers out of them.
fn claim(directory: &Path) -> Result<File, OpenError> {
    for folder in [directory.to_owned(), directory.join("segments"), directory.join("lanes")] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| OpenError::io("make", &folder, error))?;
    }
    let lock = File::open(directory).map_err(|error| OpenError::io("open", directory, error))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked(directory.to_owned())),
        Err(error) => return Err(OpenError::io("lock", directory, error.into())),
    }
    sync_directory(directory).map_err(|error| OpenError::io("sync", directory, error))?;
    Ok(lock)
}

/// The log's own records at its opening.
fn tell(log: &mut Log, settings: &Settings, damage: Damage, account: Option<Account>, now: SystemTime) {
    let (mut line, instance) = (Line::new(), settings.instance.as_str());
    if damage != Damage::default() {
        let Damage { unclean: _, dropped_bytes, replayed, interrupted, unreadable } = damage;
        tracing::warn!(dropped_bytes, replayed, interrupted, unreadable, "the audit log was not closed; recovered");
        let missing = account.map_or(0, |account| account.missing());
        if missing > 0 {
            record::own(&mut line, "log.gap", now, instance);
            line.number(r#","unrecorded":"#, missing);
            line.number(r#","unreadable":"#, 0);
            line.text(r#","why":""#, "the process ended before they were on record", 200);
            line.raw("}");
            log.record(line.as_bytes());
        }
        record::own(&mut line, "log.recovered", now, instance);
        line.number(r#","dropped_bytes":"#, dropped_bytes);
        line.number(r#","replayed":"#, replayed);
        line.number(r#","interrupted":"#, interrupted);
        line.number(r#","unreadable":"#, unreadable);
        if let Some(Account { told: Told { requests, finals }, .. }) = account {
            line.number(r#","requests":"#, requests);
            line.number(r#","finals":"#, finals);
        }
        line.raw("}");
        log.record(line.as_bytes());
    }
    record::own(&mut line, "log.opened", now, instance);
    line.hex(r#","log":""#, u128::from_be_bytes(log.id()), 32);
    line.number(r#","records":"#, log.tip().records);
    record::cause(&mut line, settings.by);
    line.raw("}");
    log.record(line.as_bytes());
}

/// Notes come from any thread, seldom: they share one small lane.
fn lane_for_notes(shared: &Shared) -> Result<(), OpenError> {
    let shape = Shape { slots: 0, ring_words: 8_192 };
    let writer = shared.new_lane(&mut shared.lanes(), shape, 1);
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let writer = writer.map_err(|_| OpenError::io("make a lane in", &shared.settings.directory, full()))?;
    shared.first.get_or_init(|| Arc::clone(&writer.lane));
    *shared.notes.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    Ok(())
}
