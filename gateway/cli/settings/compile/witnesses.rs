use std::collections::HashSet;
use std::time::Duration;

use terms::{LimitId, Span};
use tlog::VerifierKey;
use witness::Seat;

use super::Compiler;
use crate::cosigning::Witnesses;
use crate::settings::file;

impl Compiler<'_> {
    /// Who signs the checkpoints, too.
    pub(super) fn witnesses(&mut self, entry: file::Witnesses) -> Option<Witnesses> {
        let file::Witnesses { quorum, every, list } = entry;
        let every = every.map(|written| {
            let Span(span) = self.parse(&written)?;
            let fits = (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&span);
            if !fits {
                self.error(&written, "witnesses are asked every 1s to 1h".into(), "leave it out for every minute");
            }
            fits.then_some(span)
        });
        let (mut seats, mut names, wanted): (Vec<Seat>, HashSet<String>, usize) =
            (Vec::new(), HashSet::new(), list.len());
        for file::WitnessSeat { name, url, key } in list {
            let Some(_) = self.parse::<LimitId>(&name) else { continue };
            let Some(known) = self.parse::<VerifierKey>(&key) else { continue };
            let twice = seats.iter().any(|seat| seat.key().is_same_key(&known));
            if name.value == "none" || name.value == "enough" || !names.insert(name.value.clone()) || twice {
                let message = "the name is taken, or the key stands here twice".to_owned();
                self.error(
                    &name,
                    message,
                    "each witness has a name and a key of its own; one of two names counts once",
                );
                continue;
            }
            match Seat::new(&name.value, &url.value, known) {
                Ok(seat) => seats.push(seat),
                Err(error) => self.note(&url, terms::chain(&error).to_string()),
            }
        }
        if let Some(quorum) = quorum.as_ref().filter(|quorum| !(1..=wanted).contains(&usize::from(quorum.value))) {
            self.error(
                quorum,
                "a quorum is a number from 1 to that of the witnesses".into(),
                "leave it out for all of them",
            );
            return None;
        }
        let quorum = quorum.map_or(wanted, |quorum| usize::from(quorum.value));
        let every = every.unwrap_or(Some(Duration::from_secs(60)))?;
        (seats.len() == wanted && wanted > 0).then_some(Witnesses { seats, quorum, every })
    }
}
