use std::str::FromStr;
use std::time::SystemTime;

use audit::{Query, Which};
use terms::Span;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{Decision, Filter};
use crate::failure::Failure;

impl Filter {
    /// The question that was typed.
    pub(super) fn query(&self, now: SystemTime) -> Result<Query, Failure> {
        let Self {
            tenant,
            subject,
            sub,
            api_key,
            reason,
            route,
            status,
            decision,
            break_glass,
            id,
            kind,
            from,
            to,
            all,
        } = self;
        let which = if *all || kind.is_some() { Which::All } else { Which::Finals };
        Ok(Query {
            which,
            tenant: parse("--tenant", tenant.as_deref())?,
            subject: parse("--subject", subject.as_deref())?,
            sub: sub.clone(),
            key: api_key.clone(),
            id: parse("--id", id.as_deref())?,
            reason: parse("--reason", reason.as_deref())?,
            route: route.clone(),
            decision: decision.map(|decision| match decision {
                Decision::Allow => audit::Decision::Allow,
                Decision::Deny => audit::Decision::Deny,
            }),
            status: *status,
            glass: break_glass.then_some(audit::Glass::Broken),
            kind: kind.clone(),
            from: from.as_deref().map(|text| instant("--from", text, now)).transpose()?,
            to: to.as_deref().map(|text| instant("--to", text, now)).transpose()?,
            ..Query::default()
        })
    }

    /// The same as it goes on record: without what names a person.
    pub(super) fn words(&self) -> String {
        let Self {
            tenant,
            subject,
            sub,
            api_key,
            reason,
            route,
            status,
            decision,
            break_glass,
            id,
            kind,
            from,
            to,
            all,
        } = self;
        let status = status.map(|status| status.to_string());
        let decision = decision.map(|decision| match decision {
            Decision::Allow => "allow",
            Decision::Deny => "deny",
        });
        let fields = [
            ("tenant", tenant.as_deref()),
            ("subject", subject.as_ref().map(|_| "*")),
            ("sub", sub.as_deref()),
            ("api_key", api_key.as_deref()),
            ("reason", reason.as_deref()),
            ("route", route.as_deref()),
            ("status", status.as_deref()),
            ("decision", decision),
            ("break_glass", break_glass.then_some("yes")),
            ("id", id.as_deref()),
            ("kind", kind.as_deref()),
            ("from", from.as_deref()),
            ("to", to.as_deref()),
            ("all", all.then_some("yes")),
        ];
        let words = fields.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
        words.collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(what: &str, text: Option<&str>) -> Result<Option<T>, Failure> {
    let parsed =
        text.map(|text| text.parse().map_err(|invalid| Failure::Setup(format!("{what}: `{text}`: {invalid}"))));
    parsed.transpose()
}

/// A time, or how long ago it was: `-1h`.
pub(super) fn instant(what: &str, text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
    let ago = text.strip_prefix('-').and_then(|span| span.parse::<Span>().ok());
    let at = match ago {
        Some(Span(ago)) => now.checked_sub(ago),
        None => OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from),
    };
    at.ok_or_else(|| {
        Failure::Setup(format!("{what}: `{text}` is not a time such as 2026-11-23T12:00:00Z or -1h (an hour ago)"))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_is_one_of_the_calendar_or_so_long_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let is = |text, seconds: u64| {
            let at = instant("--from", text, now).unwrap();
            assert_eq!(at, UNIX_EPOCH + Duration::from_secs(seconds), "{text}");
        };
        is("1970-01-02T00:00:00Z", 86_400);
        is("1970-01-02T02:00:00+02:00", 86_400);
        is("-1h", 996_400);
        is("-2d", 827_200);
        for text in ["", "-", "1h", "-1", "yesterday", "-1h ", "1970-01-02", "--1h", "-99999999999999d"] {
            assert!(instant("--from", text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn what_goes_on_record_names_no_person() {
        let filter = Filter {
            tenant: Some("acme".into()),
            subject: Some("ada@example.test".into()),
            from: Some("-1h".into()),
            ..Filter::default()
        };
        assert_eq!(filter.words(), "tenant=acme subject=* from=-1h");
    }
}
