use std::collections::BTreeSet;
use std::time::Duration;

use terms::{ByteCount, ClassName, PlanId, Span};
use yaml::At;

use super::Compiler;
use crate::settings::{Class, Retention, file};

/// How many classes there may be: each has a log of its own, with its threads and its room on the disk.
const MOST: usize = 8;

/// What is written where records are kept for good.
const FOREVER: &str = "forever";

impl Compiler<'_> {
    /// The default class, and the others in the order of their names.
    pub(super) fn retention(&mut self, entry: file::Retention) -> Option<(Retention, Vec<Class>)> {
        let file::Retention { keep, disk, classes } = entry;
        let keep = keep.map(|written| self.keep(&written));
        let disk = disk.map(|written| self.parse::<ByteCount>(&written).map(|ByteCount(bytes)| bytes));
        let (count, mut plans, mut compiled) = (classes.0.len(), BTreeSet::new(), Vec::new());
        for (name, entry) in classes.0 {
            compiled.extend(self.class(&name, entry.value, &mut plans));
            if compiled.len() > MOST {
                self.error(&name, format!("there are at most {MOST} classes"), "each has a log of its own");
                return None;
            }
        }
        compiled.sort_by(|one, other| one.name.cmp(&other.name));
        let default = Retention {
            keep: match keep {
                Some(keep) => Some(keep?),
                None => None,
            },
            disk: match disk {
                Some(disk) => Some(disk?),
                None => None,
            },
        };
        (compiled.len() == count).then_some((default, compiled))
    }

    fn class(&mut self, name: &At<String>, entry: file::RetentionClass, taken: &mut BTreeSet<PlanId>) -> Option<Class> {
        let file::RetentionClass { keep, disk, plans } = entry;
        let parsed: Option<ClassName> = self.parse(name);
        if name.value == ClassName::DEFAULT {
            let help = "what is said of it stands right under `retention`";
            self.error(name, "the default class is there without a word".into(), help);
            return None;
        }
        let keep = if keep.value == FOREVER { Some(None) } else { self.keep(&keep).map(Some) };
        let disk = disk.map(|written| self.parse::<ByteCount>(&written).map(|ByteCount(bytes)| bytes));
        let mut sound = true;
        for written in &plans {
            let Some(plan) = self.parse::<PlanId>(written) else {
                sound = false;
                continue;
            };
            if !taken.insert(plan) {
                let help = "a tenant of it would be in two classes";
                self.error(written, "this plan is in another class already".into(), help);
                sound = false;
            }
        }
        let disk = match disk {
            Some(disk) => Some(disk?),
            None => None,
        };
        let class = Class { name: parsed?, retention: Retention { keep: keep?, disk } };
        sound.then_some(class)
    }

    fn keep(&mut self, written: &At<String>) -> Option<Duration> {
        let Span(span) = self.parse(written)?;
        let fits = span >= Duration::from_secs(24 * 3_600);
        if !fits {
            self.error(written, "records are kept for a day at least".into(), "write for example 400d");
        }
        fits.then_some(span)
    }
}
