use std::collections::HashMap;
use std::str::FromStr;

use crate::tile::decimal;
use crate::{Checkpoint, KeyKind, Note, Signed, Untrusted, VerifierKey};

/// How many witnesses and groups a policy may name. Groups in groups are followed as deep as they go.
const SEATS_MAX: usize = 1024;

/// Which checkpoints are to be trusted: of which logs, and seen by which witnesses (C2SP tlog-policy). It is the one file
/// that an auditor needs, besides what is to be verified.
///
/// ```text
/// log audit.example/gateway-1+…
/// witness ours audit.example/witness+…
/// witness theirs customer.example/witness+…
/// group both all ours theirs
/// quorum both
/// ```
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    logs: Vec<VerifierKey>,
    /// Keys of logs that sign no tree with more entries than this: they were retired.
    retired: Vec<(VerifierKey, u64)>,
    /// Each witness and each group, in the order in which they are named.
    seats: Vec<Seat>,
    /// The one that must have seen a checkpoint. Nobody must, if it is none.
    quorum: Option<usize>,
}

#[derive(Clone, Debug)]
enum Seat {
    Group { needed: usize, members: Vec<usize> },
    Witness(VerifierKey),
}

/// A checkpoint that is to be trusted, and who says so. Only [`TrustPolicy::judge`] makes one.
#[derive(Clone, Debug)]
pub struct Trusted<'p> {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Everybody who has signed it, of those whom the policy names.
    pub by: Vec<Signed<'p>>,
}

/// Why a checkpoint is not to be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// It is none.
    #[error("the note is not a checkpoint")]
    NoCheckpoint,
    /// Its log is not one of those, or its signature is missing or forged.
    #[error("the checkpoint is not signed by a log of the policy")]
    Log(#[source] Untrusted),
    /// The log's key had been retired before.
    #[error(
        "the checkpoint has {size} entries, and the key that signed it signs for {most} at most: it was retired then"
    )]
    Retired {
        /// How many entries it has.
        size: u64,
        /// For how many the key signs.
        most: u64,
    },
    /// Not enough witnesses have seen it.
    #[error("too few of the policy's witnesses have seen the checkpoint")]
    Quorum,
}

/// Why a text is not a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct InvalidPolicy {
    line: usize,
    why: &'static str,
}

impl TrustPolicy {
    /// The logs whose checkpoints are trusted.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The same, and this key of a log is trusted, too: one that is has vouched for it.
    #[must_use]
    pub fn and(mut self, key: VerifierKey) -> Self {
        if !self.logs.contains(&key) {
            self.logs.push(key);
        }
        self
    }

    /// The same, but this key of a log signs for so many entries at most: it was retired then.
    #[must_use]
    pub fn retiring(mut self, key: &VerifierKey, most: u64) -> Self {
        match self.retired.iter_mut().find(|(retired, _)| retired == key) {
            Some((_, bound)) => *bound = most.min(*bound),
            None => self.retired.push((key.clone(), most)),
        }
        self
    }

    /// For how many entries this key of a log signs, if it was retired.
    #[must_use]
    pub fn most(&self, key: &VerifierKey) -> Option<u64> {
        self.retired.iter().find(|(retired, _)| retired == key).map(|(_, most)| *most)
    }

    /// Trusts a checkpoint, or says why not.
    ///
    /// # Errors
    /// It is not signed by its log, or by a key that had been retired, or not seen by as many witnesses as it must be.
    pub fn judge(&self, note: &Note) -> Result<Trusted<'_>, Distrust> {
        let checkpoint = Checkpoint::of(note).map_err(|_| Distrust::NoCheckpoint)?;
        let logs = self.logs.iter().filter(|key| *key.name() == checkpoint.origin);
        let mut by = note.verify(logs).map_err(Distrust::Log)?;
        // FAIL CLOSED: what a key is said to have signed after its time, somebody else has signed.
        let (size, mut retired) = (checkpoint.size, None);
        by.retain(|signed| {
            let most = self.most(signed.key).filter(|most| size > *most);
            retired = retired.or(most);
            most.is_none()
        });
        if let Some(most) = retired.filter(|_| by.is_empty()) {
            return Err(Distrust::Retired { size, most });
        }
        let witnesses = self.seats.iter().filter_map(|seat| match seat {
            Seat::Group { .. } => None,
            Seat::Witness(key) => Some(key),
        });
        match note.verify(witnesses) {
            Ok(seen) => by.extend(seen),
            Err(Untrusted::Unknown) => {}
            Err(forged @ Untrusted::Forged(_)) => return Err(Distrust::Log(forged)),
        }
        let has_signed = |key: &VerifierKey| by.iter().any(|signed| signed.key == key);
        if self.quorum.is_some_and(|seat| !self.has_seen(seat, &has_signed)) {
            return Err(Distrust::Quorum);
        }
        Ok(Trusted { checkpoint, by })
    }

    /// Groups name only what stands before them, so this comes to an end.
    fn has_seen(&self, seat: usize, has_signed: &dyn Fn(&VerifierKey) -> bool) -> bool {
        match self.seats.get(seat) {
            Some(Seat::Witness(key)) => has_signed(key),
            Some(Seat::Group { needed, members }) => {
                members.iter().filter(|member| self.has_seen(**member, has_signed)).count() >= *needed
            }
            None => false, // FAIL CLOSED: there is no such seat
        }
    }
}

/// What has been read of a policy.
#[derive(Default)]
struct Reading<'t> {
    logs: Vec<VerifierKey>,
    seats: Vec<Seat>,
    names: HashMap<&'t str, usize>,
    is_member: Vec<bool>,
    quorum: Option<Option<usize>>,
}

impl<'t> Reading<'t> {
    fn line(&mut self, words: &[&'t str]) -> Result<(), &'static str> {
        match words {
            ["log", key] | ["log", key, _] => {
                let key = public(key, KeyKind::Log)?;
                if self.logs.iter().any(|log| log.is_same_key(&key)) {
                    return Err("the key stands here twice");
                }
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = public(key, KeyKind::Witness)?;
                let twice = |seat: &Seat| matches!(seat, Seat::Witness(witness) if witness.is_same_key(&key));
                if self.seats.iter().any(twice) {
                    return Err("the key stands here twice");
                }
                self.seat(name, Seat::Witness(key))
            }
            ["group", name, needed, members @ ..] if !members.is_empty() => {
                let members = members.iter().map(|member| self.member(member)).collect::<Result<Vec<_>, _>>()?;
                let needed = match *needed {
                    "all" => members.len(),
                    "any" => 1,
                    number => decimal(number)
                        .and_then(|number| usize::try_from(number).ok())
                        .filter(|number| (1..=members.len()).contains(number))
                        .ok_or("a group needs `all`, `any`, or a number from 1 to that of its members")?,
                };
                self.seat(name, Seat::Group { needed, members })
            }
            ["quorum", _] if self.quorum.is_some() => Err("there is a quorum already"),
            ["quorum", "none"] => {
                self.quorum = Some(None);
                Ok(())
            }
            ["quorum", name] => {
                let seat = *self.names.get(name).ok_or("no witness and no group before this line has this name")?;
                self.quorum = Some(Some(seat));
                Ok(())
            }
            _ => Err("a line is `log`, `witness`, `group` or `quorum` with what belongs to it"),
        }
    }

    fn seat(&mut self, name: &'t str, seat: Seat) -> Result<(), &'static str> {
        if self.seats.len() >= SEATS_MAX {
            return Err("there are more than 1024 witnesses and groups");
        }
        if name == "none" || self.names.insert(name, self.seats.len()).is_some() {
            return Err("the name is taken");
        }
        self.seats.push(seat);
        self.is_member.push(false);
        Ok(())
    }

    fn member(&mut self, name: &str) -> Result<usize, &'static str> {
        let seat = *self.names.get(name).ok_or("no witness and no group before this line has this name")?;
        match self.is_member.get_mut(seat) {
            Some(is_member) if !*is_member => *is_member = true,
            _ => return Err("who is in one group may be in no other"),
        }
        Ok(seat)
    }
}

fn public(text: &str, kind: KeyKind) -> Result<VerifierKey, &'static str> {
    let key: VerifierKey = text.parse().map_err(|_| "this is not a public key (`name+id+base64`)")?;
    if key.kind() == kind { Ok(key) } else { Err("the key is one of the other kind (a log's or a witness's)") }
}

impl FromStr for TrustPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reading = Reading::default();
        for (line, content) in (1..).zip(text.split('\n')) {
            if content.contains(|c: char| c.is_ascii_control() && c != '\t') {
                return Err(InvalidPolicy { line, why: "there are control characters" });
            }
            let words: Vec<_> = content.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_some_and(|word| !word.starts_with('#')) {
                reading.line(&words).map_err(|why| InvalidPolicy { line, why })?;
            }
        }
        let last = text.lines().count();
        let quorum = reading.quorum.ok_or(InvalidPolicy { line: last, why: "there is no quorum (`quorum none`)" })?;
        if reading.logs.is_empty() {
            return Err(InvalidPolicy { line: last, why: "there is no log" });
        }
        Ok(Self { logs: reading.logs, retired: Vec::new(), seats: reading.seats, quorum })
    }
}
