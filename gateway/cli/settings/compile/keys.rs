use std::time::Duration;

use assertion::{InvalidSchedule, Lifetime, Schedule};
use secrets::Secret;
use terms::Finding;

use super::Compiler;
use crate::settings::{KeySettings, KeySource, file};

const ROTATE_AFTER: Duration = Duration::from_secs(30 * 86_400);
const MAX_AGE: Duration = Duration::from_secs(300);

impl Compiler<'_> {
    pub(super) fn signing_keys(&mut self, written: file::SigningKeys, lifetime: Lifetime) -> Option<KeySettings> {
        let file::SigningKeys { rotate_after, max_age, secret } = written;
        let source = match &secret {
            None => KeySource::State,
            Some(secret) => {
                if let Some(turns) = &rotate_after {
                    let message = "keys that are given take no turns by themselves".into();
                    self.error(turns, message, "take `rotate_after` away, or `secret`");
                }
                let reference = self.reference(secret)?;
                if reference.vault().is_none() {
                    KeySource::Given(reference)
                } else {
                    let place = reference.to_string().into();
                    let given = self.secret(secret)?;
                    let make = |secret, _: Option<&Secret<Vec<u8>>>| Ok(secret);
                    KeySource::Kept(place, self.kept("assertion.keys.secret", secret, given, make)?)
                }
            }
        };
        let age = max_age.as_ref().map_or(MAX_AGE, |age| age.value.0);
        let after = rotate_after.as_ref().map_or(ROTATE_AFTER, |after| after.value.0); // more than four times `1d`
        let schedule = Schedule::new(after, age, lifetime);
        let place = |invalid: &InvalidSchedule| match invalid {
            InvalidSchedule::MaxAge => max_age.as_ref().map(|at| at.spot),
            InvalidSchedule::RotateAfter => rotate_after.as_ref().map(|at| at.spot),
        };
        let schedule = schedule.map_err(|invalid| {
            let spot = place(&invalid).unwrap_or_default();
            self.findings.push(Finding::error(spot.place(self.file), invalid.to_string()));
        });
        Some(KeySettings { source, schedule: schedule.ok()? })
    }
}
