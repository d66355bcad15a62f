//! Secrets, taken over from their files while the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use audit::{Cause, Journal, Note};
use notify::RecursiveMode;
use prometheus::IntCounterVec;
use secrets::{Followed, Outcome, ProcessEnvironment, Reference, Secret, Turn, Unfit};

use crate::background::Shutdown;
use crate::watch_files::{self, Watched};

/// What may come of a secret that has changed.
pub(crate) const OUTCOMES: [&str; 2] = [REFUSED, REPLACED];
const REFUSED: &str = "refused";
const REPLACED: &str = "replaced";

/// After which time files are read again that nobody has said to have changed: a folder may have been put in the place of
/// another one, and some file systems tell nobody.
const EVERY: Duration = Duration::from_secs(10);

/// Every secret of the settings, and where it is told how they are.
pub(crate) struct Following {
    pub(crate) followed: Arc<Followed>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) outcomes: IntCounterVec,
}

/// Takes over secrets that change, until the gateway ends.
pub(crate) async fn run(following: Arc<Following>, shutdown: Shutdown) {
    let watched = Watched {
        what: "secrets",
        folders: following.followed.folders().into_iter().collect(),
        mode: RecursiveMode::NonRecursive,
        every: Some(EVERY),
    };
    watch_files::run(watched, shutdown, move |by| following.look_at_files(by)).await;
}

impl Following {
    fn look_at_files(&self, by: Cause) {
        // The environment of a process does not change.
        self.look(by, |reference| {
            let resolve = || secrets::resolve(reference, &ProcessEnvironment).map_err(|error| terms::chain(&error));
            reference.is_file().then(resolve)
        });
    }

    /// Takes over what has changed of those that are read, and tells of it.
    pub(crate) fn look(&self, by: Cause, read: impl Fn(&Reference) -> Option<Result<Secret<Vec<u8>>, Unfit>>) {
        self.followed.look(read).iter().for_each(|turn| self.tell(turn, by));
    }

    fn tell(&self, Turn { name, outcome }: &Turn, by: Cause) {
        match outcome {
            Outcome::Recovered => tracing::info!(secret = &**name, "a secret is what it was again"),
            Outcome::Refused(why) => {
                tracing::error!(secret = &**name, "a secret was not replaced, the last good one stays: {why}");
                self.outcomes.with_label_values(&[REFUSED]).inc();
                self.note(&Note::Secret { setting: name, refused: Some(why), by });
            }
            Outcome::Replaced => {
                tracing::info!(secret = &**name, "a secret was replaced");
                self.outcomes.with_label_values(&[REPLACED]).inc();
                self.note(&Note::Secret { setting: name, refused: None, by });
            }
        }
    }

    fn note(&self, note: &Note<'_>) {
        if let Err(unavailable) = self.journal.note(note) {
            tracing::error!(error = terms::chain(&unavailable), "the change of a secret is not on record");
        }
    }
}
