use std::sync::Arc;
use std::time::Duration;

use terms::{Finding, Findings, Period, Place, Span};
use yaml::{At, Tried};

use crate::compile::names::parse;
use crate::file::{AmountEntry, LimitEntry, PeriodWord};
use crate::limit::Amount;

/// Reads how much of what there is.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<str>,
}

/// How many statuses one limit can tell.
const STATUSES: usize = 4;

const KINDS: &str = "write one of `rate` (with `burst`), `quota` (with `per`), `concurrency`, `bytes` and `failures` (with `within` and `lock`)";

impl Reader<'_> {
    pub(super) fn limit(&self, name: &At<String>, entry: &LimitEntry, findings: &mut Findings) -> Option<Amount> {
        let LimitEntry {
            rate,
            burst,
            quota,
            per,
            concurrency,
            bytes,
            failures,
            of,
            within,
            lock,
            key: _,
            mode: _,
            scope: _,
            on_store_loss: _,
        } = entry;
        let plain = AmountWritten {
            rate: rate.as_ref(),
            burst: burst.as_ref(),
            quota: quota.as_ref(),
            per: self.period(quota.as_ref(), per.as_ref(), findings),
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

    /// How much a plan or a tenant has of such a limit.
    pub(super) fn amount(
        &self,
        place: Place,
        entry: &AmountEntry,
        of: Option<Amount>,
        findings: &mut Findings,
    ) -> Option<Amount> {
        let AmountEntry { rate, burst, quota, concurrency, bytes } = entry;
        let per = if let Some(Amount::Quota { per, .. }) = of { Some(per) } else { None };
        let written = AmountWritten {
            rate: rate.as_ref(),
            burst: burst.as_ref(),
            quota: quota.as_ref(),
            per: per.or(Some(Period::Day)), // of another kind it is refused whatever its period
            concurrency: concurrency.as_ref(),
            bytes: bytes.as_ref(),
        };
        self.plain(place, &written, findings)
    }

    fn plain(&self, place: Place, written: &AmountWritten<'_>, findings: &mut Findings) -> Option<Amount> {
        let AmountWritten { rate, burst, quota, per, concurrency, bytes } = written;
        if let (None, Some(burst)) = (rate, burst) {
            findings.push(Finding::error(burst.spot.place(self.file), "`burst` stands beside `rate` alone"));
            return None;
        }
        if written.count() > 1 {
            findings.push(Finding::error(place, "a limit counts one thing").help(KINDS));
            return None;
        }
        match (rate, quota, bytes, concurrency) {
            (Some(rate), _, _, _) => {
                let rate_read = parse(self.file, rate, findings);
                if burst.is_none() {
                    let finding = Finding::error(rate.spot.place(self.file), "a rate says how much may come at once");
                    findings.push(finding.help("write `burst` beside it"));
                }
                Some(Amount::Rate { rate: rate_read?, burst: burst.as_ref()?.value })
            }
            (None, Some(quota), _, _) => Some(Amount::Quota { count: quota.value, per: (*per)? }),
            (None, None, Some(bytes), _) => parse(self.file, bytes, findings).map(Amount::Bytes),
            (None, None, None, Some(concurrency)) => Some(Amount::Concurrency(concurrency.value)),
            (None, None, None, None) => {
                findings.push(Finding::error(place, "a limit says how much there is").help(KINDS));
                None
            }
        }
    }

    fn period(
        &self,
        quota: Option<&At<u32>>,
        per: Option<&At<Tried<PeriodWord>>>,
        findings: &mut Findings,
    ) -> Option<Period> {
        match (quota, per) {
            (None, Some(per)) => {
                findings.push(Finding::error(per.spot.place(self.file), "`per` stands beside `quota` alone"));
                None
            }
            (Some(quota), None) => {
                let finding = Finding::error(quota.spot.place(self.file), "a quota says in which stretch of time");
                findings.push(finding.help("write `per: day` or `per: month` beside it"));
                None
            }
            (_, per) => per.and_then(|per| per.value.0).map(|word| match word {
                PeriodWord::Day => Period::Day,
                PeriodWord::Month => Period::Month,
            }),
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
    quota: Option<&'a At<u32>>,
    per: Option<Period>,
    concurrency: Option<&'a At<u32>>,
    bytes: Option<&'a At<String>>,
}

impl AmountWritten<'_> {
    fn count(&self) -> usize {
        let Self { rate, burst: _, quota, per: _, concurrency, bytes } = self;
        [rate.is_some(), quota.is_some(), concurrency.is_some(), bytes.is_some()].into_iter().filter(|it| *it).count()
    }
}
