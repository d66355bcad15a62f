use std::sync::Arc;
use std::time::Duration;

use terms::{Finding, Findings, Place, Span};
use yaml::At;

use crate::compile::names::parse;
use crate::file::{AmountEntry, LimitEntry};
use crate::limit::Amount;

/// Reads how much of what there is.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<str>,
}

/// How many statuses one limit can tell.
const STATUSES: usize = 4;

const KINDS: &str =
    "write one of `rate` (with `burst`), `concurrency`, `bytes` and `failures` (with `within` and `lock`)";

impl Reader<'_> {
    pub(super) fn limit(&self, name: &At<String>, entry: &LimitEntry, findings: &mut Findings) -> Option<Amount> {
        let LimitEntry { rate, burst, concurrency, bytes, failures, of, within, lock, key: _, mode: _ } = entry;
        let plain = AmountWritten {
            rate: rate.as_ref(),
            burst: burst.as_ref(),
            concurrency: concurrency.as_ref(),
            bytes: bytes.as_ref(),
        };
        let Some(failures) = failures else {
            let beside =
                [of.as_ref().map(|of| of.spot), within.as_ref().map(|it| it.spot), lock.as_ref().map(|it| it.spot)];
            for spot in beside.into_iter().flatten() {
                findings.push(Finding::error(spot.place(self.file), "this stands beside `failures` alone"));
            }
            return self.plain(name.spot.place(self.file), &plain, findings);
        };
        if plain.count() > 0 || burst.is_some() {
            findings.push(Finding::error(name.spot.place(self.file), "a limit counts one thing").help(KINDS));
        }
        let statuses = self.statuses(of.as_ref(), findings);
        let mut span = |written: &Option<At<String>>, word: &str| {
            let Some(written) = written else {
                let message = format!("a limit of failures says `{word}`");
                findings.push(Finding::error(failures.spot.place(self.file), message).help("for example `10m`"));
                return None;
            };
            let Span(span) = parse(self.file, written, findings)?;
            if span < Duration::from_secs(1) {
                findings.push(Finding::error(written.spot.place(self.file), "it is at least a second"));
            }
            Some(span)
        };
        let (within, lock) = (span(within, "within"), span(lock, "lock"));
        let most = failures.value.min(u16::MAX - 1); // the last one is a mark
        Some(Amount::Failures { most, within: within?, lock: lock?, statuses: statuses? })
    }

    pub(super) fn amount(&self, place: Place, entry: &AmountEntry, findings: &mut Findings) -> Option<Amount> {
        let AmountEntry { rate, burst, concurrency, bytes } = entry;
        let written = AmountWritten {
            rate: rate.as_ref(),
            burst: burst.as_ref(),
            concurrency: concurrency.as_ref(),
            bytes: bytes.as_ref(),
        };
        self.plain(place, &written, findings)
    }

    fn plain(&self, place: Place, written: &AmountWritten<'_>, findings: &mut Findings) -> Option<Amount> {
        let AmountWritten { rate, burst, concurrency, bytes } = written;
        if let (None, Some(burst)) = (rate, burst) {
            findings.push(Finding::error(burst.spot.place(self.file), "`burst` stands beside `rate` alone"));
            return None;
        }
        match (rate, bytes, concurrency) {
            (Some(rate), None, None) => {
                let rate_read = parse(self.file, rate, findings);
                if burst.is_none() {
                    let finding = Finding::error(rate.spot.place(self.file), "a rate says how much may come at once");
                    findings.push(finding.help("write `burst` beside it"));
                }
                Some(Amount::Rate { rate: rate_read?, burst: burst.as_ref()?.value })
            }
            (None, Some(bytes), None) => parse(self.file, bytes, findings).map(Amount::Bytes),
            (None, None, Some(concurrency)) => Some(Amount::Concurrency(concurrency.value)),
            (None, None, None) => {
                findings.push(Finding::error(place, "a limit says how much there is").help(KINDS));
                None
            }
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                findings.push(Finding::error(place, "a limit counts one thing").help(KINDS));
                None
            }
        }
    }

    fn statuses(&self, written: Option<&At<Vec<At<u16>>>>, findings: &mut Findings) -> Option<[u16; STATUSES]> {
        let Some(written) = written else { return Some([401, 0, 0, 0]) };
        let mut statuses = [0; STATUSES];
        if written.value.is_empty() || written.value.len() > STATUSES {
            let message = format!("a limit of failures counts from 1 to {STATUSES} statuses");
            findings.push(Finding::error(written.spot.place(self.file), message));
            return None;
        }
        for (place, status) in statuses.iter_mut().zip(&written.value) {
            if !(400..=599).contains(&status.value) {
                let finding = Finding::error(status.spot.place(self.file), "no answer with this status says no");
                findings.push(finding.help("statuses from 400 to 599 do"));
            }
            *place = status.value;
        }
        Some(statuses)
    }
}

/// What stands in a limit and in what a plan has of it alike.
struct AmountWritten<'a> {
    rate: Option<&'a At<String>>,
    burst: Option<&'a At<u32>>,
    concurrency: Option<&'a At<u32>>,
    bytes: Option<&'a At<String>>,
}

impl AmountWritten<'_> {
    fn count(&self) -> usize {
        usize::from(self.rate.is_some()) + usize::from(self.concurrency.is_some()) + usize::from(self.bytes.is_some())
    }
}
