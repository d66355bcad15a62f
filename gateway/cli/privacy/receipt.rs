use std::path::Path;
use std::time::{Duration, Instant};

use audit::Reader;
use subjects::{EventKind, Order};

use crate::failure::Failure;
use crate::logs::{self, Found};

/// How long to wait for a gateway to put it on record.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// The logs, from where they ended before something was done.
pub(super) struct Awaited {
    logs: Vec<(Found, Reader)>,
}

/// Where it is on record.
pub(super) struct OnRecord {
    /// In the log of which retention class, if there are several.
    pub(super) class: Option<String>,
    pub(super) index: u64,
}

impl Awaited {
    /// A log that is not there yet has nothing to say.
    pub(super) fn from_now(directory: &Path) -> Self {
        let found = logs::on_disk(directory).unwrap_or_default();
        let follow = |found: Found| Some((Reader::follow(&found.directory).ok()?, found));
        Self { logs: found.into_iter().filter_map(follow).map(|(reader, found)| (found, reader)).collect() }
    }

    /// The place of the record that says it, if a gateway puts it into a log soon.
    pub(super) fn record(
        &mut self,
        kind: EventKind,
        sub: Option<&str>,
        order: &Order,
    ) -> Result<Option<OnRecord>, Failure> {
        let (several, deadline) = (self.logs.len() > 1, Instant::now() + PATIENCE);
        while !self.logs.is_empty() {
            let over = Instant::now() >= deadline; // ORDER: before the last look
            for (found, reader) in &mut self.logs {
                for stored in reader.by_ref() {
                    let stored = stored.map_err(|error| Failure::broke(found.directory.display(), &error))?;
                    let is_it = stored.row().is_ok_and(|row| {
                        row.kind == Some(kind.as_str()) && row.sub == sub && row.done == Some(order.done)
                    });
                    if is_it {
                        let class = several.then(|| found.class.clone());
                        return Ok(Some(OnRecord { class, index: stored.index }));
                    }
                }
            }
            if over {
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }
}

/// Says how it can be proved.
pub(super) fn how(record: Option<&OnRecord>) -> String {
    match record {
        Some(OnRecord { class, index }) => {
            let class = class.as_ref().map_or_else(String::new, |class| format!(" --class {class}"));
            format!(
                "On record: record {index} of the log; the gateway that has written it has forgotten the keys.\nProve it: cloister audit proof{class} --index {index} --out FOLDER"
            )
        }
        None => "Not on record yet: no gateway runs with this state folder. The next that starts puts it there.".into(),
    }
}
