use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use terms::Span;
use upstream::{Check, CheckSettings, EjectionSettings, HealthSettings};
use yaml::At;

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    pub(super) fn health(
        &mut self,
        protocol: file::Protocol,
        check: Option<file::Health>,
        ejection: file::Ejection,
        slow_return: Span,
    ) -> Option<HealthSettings> {
        let check = match check {
            Some(entry) => self.check_settings(protocol, entry).map(Some),
            None => Some(None),
        };
        let ejection = self.ejection(ejection);
        Some(HealthSettings { check: check?, ejection: ejection?, slow_return: slow_return.0 })
    }

    fn check_settings(&mut self, protocol: file::Protocol, entry: file::Health) -> Option<CheckSettings> {
        let file::Health { check: kind, path, host, statuses, service, every, timeout, unhealthy, healthy } = entry;
        let check = match kind.value {
            file::Check::Http => {
                self.only("service", service.as_ref(), "grpc");
                self.http_check(&kind, path, host, statuses)
            }
            file::Check::Grpc => {
                self.only_http(path.as_ref(), host.as_ref(), statuses.as_ref());
                if matches!(protocol, file::Protocol::Http1) {
                    self.error(&kind, "`check: grpc` is asked over HTTP/2".into(), "add `protocol: h2c`, or `h2`");
                }
                Some(Check::Grpc { service: service.map(|service| service.value).unwrap_or_default() })
            }
            file::Check::Tcp => {
                self.only_http(path.as_ref(), host.as_ref(), statuses.as_ref());
                self.only("service", service.as_ref(), "grpc");
                Some(Check::Tcp)
            }
        };
        let every = self.time(every, 10, "checks without a pause between them are a flood");
        let timeout = self.time(timeout, 2, "no answer is that quick");
        let unhealthy = self.count(unhealthy, 3, "write 1 to put an address out at its first failure");
        let healthy = self.count(healthy, 2, "write 1 to have an address back at its first success");
        Some(CheckSettings {
            check: check?,
            every: every?,
            timeout: timeout?,
            unhealthy: unhealthy?,
            healthy: healthy?,
        })
    }

    fn http_check(
        &mut self,
        kind: &At<file::Check>,
        path: Option<At<String>>,
        host: Option<At<String>>,
        statuses: Option<At<Vec<At<file::Statuses>>>>,
    ) -> Option<Check> {
        let path = match path {
            None => {
                self.error(kind, "nothing says what `check: http` asks for".into(), "give `path`, such as `/healthz`");
                None
            }
            Some(path) if path.value.starts_with('/') && path.value.parse::<PathAndQuery>().is_ok() => Some(path.value),
            Some(path) => {
                let message = format!("`{}` is not a path that can be asked for", path.value);
                self.error(&path, message, "a path begins with `/` and is written as it is sent: `/healthz`");
                None
            }
        };
        let host = match host {
            Some(host) if host.value.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@')) => {
                Some(Some(host.value))
            }
            Some(host) => {
                self.error(
                    &host,
                    format!("`{}` is not a host", host.value),
                    "a name or an address, perhaps with a port",
                );
                None
            }
            None => Some(None),
        };
        let statuses = self.statuses(statuses);
        Some(Check::Http { path: path?, host: host?, statuses: statuses? })
    }

    fn statuses(&mut self, written: Option<At<Vec<At<file::Statuses>>>>) -> Option<Vec<RangeInclusive<u16>>> {
        let Some(written) = written else { return Some(vec![200..=299]) };
        if written.value.is_empty() {
            self.error(&written, "no status would pass".into(), "leave it out for 200 to 299");
            return None;
        }
        let each = written.value.iter().map(|written| {
            let range = match &written.value {
                file::Statuses::One(status) => Some(*status..=*status),
                file::Statuses::Range(text) => range(text),
            };
            let range = range.filter(|range| !range.is_empty() && *range.start() >= 200 && *range.end() <= 599);
            if range.is_none() {
                let help = "from 200 to 599: `200`, or `200-299`";
                self.error(written, "this is not a status that ends a check, or a range of them".into(), help);
            }
            range
        });
        let each: Vec<_> = each.collect();
        each.into_iter().collect()
    }

    fn ejection(&mut self, entry: file::Ejection) -> Option<EjectionSettings> {
        let file::Ejection { consecutive, span, longest, max_share } = entry;
        let consecutive = self.count(consecutive, 5, "to eject no address, write `max_share: 0%`");
        let place = longest.as_ref().map(|longest| At { spot: longest.spot, value: () });
        let span = self.time(span, 30, "to eject no address, write `max_share: 0%`");
        let longest = match (longest, span) {
            (None, Some(span)) => Some(span.max(Duration::from_secs(300))),
            (longest, _) => self.time(longest, 300, "to eject no address, write `max_share: 0%`"),
        };
        if let (Some(place), Some(longest), Some(span)) = (place, longest, span)
            && longest < span
        {
            self.error(&place, "the longest time is shorter than the first".into(), "at least as long as `for`");
        }
        let max_share = match max_share {
            Some(share) => Some(share.value),
            None => "50%".parse().ok(),
        };
        Some(EjectionSettings { consecutive: consecutive?, span: span?, longest: longest?, max_share: max_share? })
    }

    fn time(&mut self, written: Option<At<Span>>, default: u64, help: &str) -> Option<Duration> {
        let Some(written) = written else { return Some(Duration::from_secs(default)) };
        if written.value.0.is_zero() {
            self.error(&written, "this cannot be zero".into(), help);
            return None;
        }
        Some(written.value.0)
    }

    fn only_http(
        &mut self,
        path: Option<&At<String>>,
        host: Option<&At<String>>,
        statuses: Option<&At<Vec<At<file::Statuses>>>>,
    ) {
        self.only("path", path, "http");
        self.only("host", host, "http");
        self.only("statuses", statuses, "http");
    }

    /// A setting that says nothing to this check.
    fn only<T>(&mut self, name: &str, written: Option<&At<T>>, kind: &str) {
        if let Some(written) = written {
            let message = format!("`{name}` belongs to `check: {kind}`");
            self.error(written, message, "take it away, or choose that check");
        }
    }
}

/// `200-299`
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}
