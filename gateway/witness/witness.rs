use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use terms::Clock;
use tlog::{AddCheckpoint, Checkpoint, Head, Name, NotWitnessed, Note, SigningKey, VerifierKey, judge, leaf_hash};

/// One who has seen logs grow. What it has seen last of each lies in `<folder>/<hash of its name>.checkpoint`.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    key: SigningKey,
    logs: Vec<VerifierKey>,
    clock: Arc<dyn Clock>,
    /// Between a look at what was seen last and the writing of what is seen now nobody else comes in.
    turn: Mutex<()>,
    /// Keeps other processes out.
    _lock: File,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: String,
}

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Another process is the witness of this folder.
    #[error("another process is the witness of `{0}`")]
    Busy(PathBuf),
    /// What was seen cannot be read or kept.
    #[error("cannot use `{0}`")]
    Io(PathBuf, #[source] io::Error),
}

impl Witness {
    /// One that keeps what it has seen in this folder, signs with this key, and knows the logs of these keys.
    ///
    /// # Errors
    /// The folder cannot be had.
    pub fn open(
        folder: PathBuf,
        key: SigningKey,
        logs: Vec<VerifierKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WitnessError> {
        let failed = |error| WitnessError::Io(folder.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let lock = File::open(&folder).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(WitnessError::Busy(folder)),
            Err(error) => return Err(failed(error.into())),
        }
        Ok(Self { folder, key, logs, clock, turn: Mutex::new(()), _lock: lock })
    }

    /// Answers `POST add-checkpoint`. What it signs is on disk before.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8]) -> Said {
        let request = std::str::from_utf8(body).ok().and_then(|text| text.parse::<AddCheckpoint>().ok());
        let Some(request) = request else { return Said::no(&NotWitnessed::Malformed) };
        let Ok(claimed) = Checkpoint::of(&request.checkpoint) else { return Said::no(&NotWitnessed::Malformed) };
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match self.seen(&claimed.origin) {
            Ok(seen) => seen,
            // FAIL CLOSED: who does not know what it has seen has seen nothing else.
            Err(error) => return Said::broken(&error),
        };
        let checkpoint = match judge(&request, self.logs.iter(), |_| seen) {
            Ok(checkpoint) => checkpoint,
            Err(why) => return Said::no(&why),
        };
        // ORDER: on disk, then signed.
        if let Err(error) = self.keep(&checkpoint.origin, &request.checkpoint) {
            return Said::broken(&error);
        }
        let signature = self.key.cosign(&request.checkpoint, self.clock.unix_seconds());
        drop(turn);
        match signature {
            Ok(signature) => Said { status: 200, kind: "text/plain; charset=utf-8", body: format!("{signature}\n") },
            Err(error) => Said::broken(&WitnessError::Io(self.folder.clone(), io::Error::other(error))),
        }
    }

    /// Where what was seen last of a log is kept. Its name may have any character but a space or a plus.
    fn path(&self, origin: &Name) -> PathBuf {
        let hash = leaf_hash(origin.as_str().as_bytes());
        let digits: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{digits}.checkpoint"))
    }

    fn seen(&self, origin: &Name) -> Result<Option<Head>, WitnessError> {
        let path = self.path(origin);
        let failed = |error| WitnessError::Io(path.clone(), error);
        let invalid = || failed(io::Error::new(io::ErrorKind::InvalidData, "it is not a checkpoint of this log"));
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed)?,
        };
        let note: Note = text.parse().map_err(|_| invalid())?;
        let checkpoint = Checkpoint::of(&note).ok().filter(|checkpoint| checkpoint.origin == *origin);
        checkpoint.map(|Checkpoint { size, root, .. }| Some(Head { size, root })).ok_or_else(invalid)
    }

    fn keep(&self, origin: &Name, note: &Note) -> Result<(), WitnessError> {
        let path = self.path(origin);
        replace(&self.folder, &path, note.to_string().as_bytes()).map_err(|error| WitnessError::Io(path, error))
    }
}

/// Puts a file in place of the one that has this name, on disk when this returns.
fn replace(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(content)?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    File::open(folder)?.sync_all()
}

impl Said {
    fn no(why: &NotWitnessed) -> Self {
        match why {
            NotWitnessed::Conflict(size) | NotWitnessed::Fork(size) => {
                Self { status: why.status(), kind: "text/x.tlog.size", body: format!("{size}\n") }
            }
            NotWitnessed::Inconsistent | NotWitnessed::Malformed | NotWitnessed::Signature | NotWitnessed::Unknown => {
                Self { status: why.status(), kind: "text/plain; charset=utf-8", body: format!("{why}\n") }
            }
        }
    }

    fn broken(why: &WitnessError) -> Self {
        let why = terms::chain(why);
        Self { status: 500, kind: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use terms::ManualClock;
    use tlog::{Growth, Hash, Tile, consistency};

    use super::*;

    struct Log {
        key: SigningKey,
        tree: Growth,
        tiles: HashMap<Tile, Vec<Hash>>,
    }

    impl Log {
        fn new(name: &str) -> Self {
            let key = SigningKey::generate(name.parse().unwrap()).unwrap();
            Self { key, tree: Growth::default(), tiles: HashMap::new() }
        }

        fn grow(&mut self, entries: &[&str]) {
            for entry in entries {
                let tiles = &mut self.tiles;
                self.tree.push(leaf_hash(entry.as_bytes()), |tile, hashes| drop(tiles.insert(tile, hashes.to_vec())));
            }
            for (tile, hashes) in self.tree.tips() {
                self.tiles.insert(tile, hashes.to_vec());
            }
        }

        fn ask(&self, old: u64) -> AddCheckpoint {
            let (size, root) = (self.tree.size(), self.tree.root());
            let checkpoint = Checkpoint { origin: self.key.verifier().name().clone(), size, root };
            let proof = if old == 0 { Vec::new() } else { consistency(&self.tiles, old, size).unwrap_or_default() };
            AddCheckpoint { old, proof, checkpoint: self.key.sign(&checkpoint.to_string()) }
        }
    }

    fn open(folder: &Path, key: &str, logs: &[&Log]) -> Witness {
        let logs = logs.iter().map(|log| log.key.verifier().clone()).collect();
        let clock = Arc::new(ManualClock::at(1_790_000_000));
        Witness::open(folder.to_owned(), key.parse().unwrap(), logs, clock).unwrap()
    }

    #[test]
    fn it_signs_what_goes_on_from_what_it_has_seen_and_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_witness("witness.example/one".parse().unwrap()).unwrap();
        let (text, verifier) = (key.to_text().to_string(), key.verifier().clone());
        let (mut log, stranger) = (Log::new("log.example/one"), Log::new("log.example/two"));
        log.grow(&["a", "b", "c"]);
        let witness = open(folder.path(), &text, &[&log]);
        let say = |witness: &Witness, request: &AddCheckpoint| witness.add_checkpoint(request.to_string().as_bytes());

        let first = log.ask(0);
        let said = say(&witness, &first);
        assert_eq!(said.status, 200, "{said:?}");
        let mut note = first.checkpoint.clone();
        note.add(said.body.trim_end().parse().unwrap());
        assert_eq!(note.verify([&verifier].into_iter()).unwrap()[0].at, Some(1_790_000_000));

        log.grow(&["d", "e"]);
        let next = log.ask(3);
        let mut unproven = next.clone();
        unproven.proof.pop();
        let mut unsigned = next.clone();
        unsigned.checkpoint = stranger.key.sign(next.checkpoint.text());
        for (what, request, status, body) in [
            ("again from nothing", log.ask(0), 409, Some("3\n")),
            ("from further", AddCheckpoint { old: 4, ..next.clone() }, 409, Some("3\n")),
            ("beyond itself", AddCheckpoint { old: 9, ..next.clone() }, 400, None),
            ("not proven", unproven, 422, None),
            ("not signed by the log", unsigned, 403, None),
            ("another log", stranger.ask(0), 404, None),
        ] {
            let said = say(&witness, &request);
            assert_eq!(said.status, status, "{what}: {said:?}");
            if let Some(body) = body {
                assert_eq!((said.body.as_str(), said.kind), (body, "text/x.tlog.size"), "{what}");
            }
        }
        for body in [&b""[..], b"old 3", b"old 3\n\n\xff\n", b"old -1\n\nx\n"] {
            assert_eq!(witness.add_checkpoint(body).status, 400);
        }
        // What it refused changed nothing; and it knows after a start what it knew before.
        assert!(matches!(
            Witness::open(folder.path().to_owned(), text.parse().unwrap(), Vec::new(), Arc::new(ManualClock::at(1))),
            Err(WitnessError::Busy(_))
        ));
        drop(witness);
        let witness = open(folder.path(), &text, &[&log]);
        assert_eq!(say(&witness, &next).status, 200);
        assert_eq!(say(&witness, &log.ask(5)).status, 200, "the same once more");

        // A second history of the same log: of the same size, and a larger one.
        let mut fork = Log { key: log.key.to_text().parse().unwrap(), ..Log::new("x") };
        fork.grow(&["a", "b", "c", "d", "X"]);
        assert_eq!(say(&witness, &fork.ask(5)).status, 409);
        fork.grow(&["Y"]);
        assert_eq!(say(&witness, &fork.ask(5)).status, 422);
        // And an earlier day of it.
        let mut earlier = Log { key: log.key.to_text().parse().unwrap(), ..Log::new("x") };
        earlier.grow(&["a", "b", "c"]);
        assert_eq!(say(&witness, &earlier.ask(3)), Said { status: 409, kind: "text/x.tlog.size", body: "5\n".into() });
    }

    #[test]
    fn who_cannot_read_what_it_has_seen_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_witness("witness.example/one".parse().unwrap()).unwrap();
        let mut log = Log::new("log.example/one");
        log.grow(&["a"]);
        let witness = open(folder.path(), &key.to_text(), &[&log]);
        let first = log.ask(0).to_string();
        assert_eq!(witness.add_checkpoint(first.as_bytes()).status, 200);
        let kept = witness.path(log.key.verifier().name());
        for content in ["", "nonsense"] {
            fs::write(&kept, content).unwrap();
            assert_eq!(witness.add_checkpoint(first.as_bytes()).status, 500);
        }
    }
}
