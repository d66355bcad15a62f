//! How far a run has come, and who waits for it to come further.

use tokio::sync::watch;

/// The stages of a run, in their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    /// Everything is made, and nothing served yet.
    Starting,
    /// Connections are accepted.
    Serving,
    /// It will end, and says so where it is asked whether it should get traffic. Connections are still accepted.
    Leaving,
    /// No connection is accepted any more; those that are there come to their end.
    Draining,
    /// The last connection is gone.
    Drained,
    /// It ends now, drained or not.
    Over,
    /// The background tasks have ended, too.
    Tidy,
}

/// The stage of this run. Cloned, it is still the same one.
#[derive(Clone, Debug)]
pub(crate) struct Life(watch::Sender<Stage>);

impl Life {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Starting))
    }

    /// Goes on to a stage. There is no way back: an earlier one changes nothing.
    pub(crate) fn go(&self, next: Stage) {
        self.0.send_if_modified(|stage| {
            let further = *stage < next;
            *stage = next.max(*stage);
            further
        });
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Waits until the run has come so far.
    pub(crate) async fn reaches(&self, stage: Stage) {
        let mut watch = self.0.subscribe();
        // It cannot fail: the sender is here.
        drop(watch.wait_for(|now| *now >= stage).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_never_goes_back() {
        let life = Life::new();
        for (next, stage) in [
            (Stage::Serving, Stage::Serving),
            (Stage::Draining, Stage::Draining),
            (Stage::Leaving, Stage::Draining),
            (Stage::Tidy, Stage::Tidy),
            (Stage::Over, Stage::Tidy),
        ] {
            life.go(next);
            assert_eq!(life.stage(), stage);
        }
    }
}
