use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit::Reader;
use subjects::{EventKind, Order};

use crate::failure::Failure;

/// How long to wait for a gateway to put it on record.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// The log, from where it ended before something was done.
pub(super) struct Awaited {
    directory: PathBuf,
    /// `None`: there is no log yet.
    reader: Option<Reader>,
}

impl Awaited {
    pub(super) fn from_now(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), reader: Reader::follow(directory).ok() }
    }

    /// The place of the record that says it, if a gateway puts it into the log soon.
    pub(super) fn record(&mut self, kind: EventKind, sub: Option<&str>, order: &Order) -> Result<Option<u64>, Failure> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match reader.next() {
                Some(stored) => {
                    let stored = stored.map_err(|error| Failure::broke(self.directory.display(), &error))?;
                    let is_it = stored.row().is_ok_and(|row| {
                        row.kind == Some(kind.as_str()) && row.sub == sub && row.done == Some(order.done)
                    });
                    if is_it {
                        return Ok(Some(stored.index));
                    }
                }
                None if Instant::now() >= deadline => return Ok(None),
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

/// Says how it can be proved.
pub(super) fn how(index: Option<u64>) -> String {
    match index {
        Some(index) => format!(
            "On record: record {index} of the log; the gateway that has written it has forgotten the keys.\nProve it: cloister audit proof --index {index} --out FOLDER"
        ),
        None => "Not on record yet: no gateway runs with this state folder. The next that starts puts it there.".into(),
    }
}
