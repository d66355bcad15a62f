use jiff::tz::{TimeZone, TimeZoneDatabase};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::fault::Fault;

const SECOND: i128 = 1_000_000_000;
/// `0001-01-01T00:00:00Z` and `9999-12-31T23:59:59.999999999Z`.
const FIRST: i128 = -62_135_596_800 * SECOND;
const LAST: i128 = 253_402_300_800 * SECOND - 1;

/// Where in the world a moment is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    /// So many seconds before UTC.
    Fixed(i32),
    /// A zone of the IANA database as it is compiled in.
    Named(TimeZone),
}

/// What of a moment is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    FullYear,
    Hours,
    Milliseconds,
    Minutes,
    Month,
    Seconds,
}

impl Part {
    /// The methods of timestamps and durations, by name.
    pub(crate) const ALL: [(&'static str, Self); 10] = [
        ("getDate", Self::Date),
        ("getDayOfMonth", Self::DayOfMonth),
        ("getDayOfWeek", Self::DayOfWeek),
        ("getDayOfYear", Self::DayOfYear),
        ("getFullYear", Self::FullYear),
        ("getHours", Self::Hours),
        ("getMilliseconds", Self::Milliseconds),
        ("getMinutes", Self::Minutes),
        ("getMonth", Self::Month),
        ("getSeconds", Self::Seconds),
    ];

    pub(crate) fn of(self, moment: i128, zone: &Zone) -> Result<i64, Fault> {
        let local = moment + i128::from(zone.offset(moment)?) * SECOND;
        let date = OffsetDateTime::from_unix_timestamp_nanos(local).map_err(|_| Fault::Range)?;
        Ok(match self {
            Self::Date => i64::from(date.day()),
            Self::DayOfMonth => i64::from(date.day()) - 1,
            Self::DayOfWeek => i64::from(date.weekday().number_days_from_sunday()),
            Self::DayOfYear => i64::from(date.ordinal()) - 1,
            Self::FullYear => i64::from(date.year()),
            Self::Hours => i64::from(date.hour()),
            Self::Milliseconds => i64::from(date.millisecond()),
            Self::Minutes => i64::from(date.minute()),
            Self::Month => i64::from(u8::from(date.month())) - 1,
            Self::Seconds => i64::from(date.second()),
        })
    }

    /// The same of a span of time, all of it in this unit. A span has no days and no months.
    pub(crate) fn of_duration(self, nanoseconds: i64) -> Option<i64> {
        match self {
            Self::Hours => Some(nanoseconds / 3_600_000_000_000),
            Self::Minutes => Some(nanoseconds / 60_000_000_000),
            Self::Seconds => Some(nanoseconds / 1_000_000_000),
            Self::Milliseconds => Some(nanoseconds % 1_000_000_000 / 1_000_000),
            Self::Date | Self::DayOfMonth | Self::DayOfWeek | Self::DayOfYear | Self::FullYear | Self::Month => None,
        }
    }
}

impl Zone {
    /// `Europe/Berlin`, `UTC`, `+02:00`, `02:00`, `-09:30`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(seconds) = fixed(text) {
            return Some(Self::Fixed(seconds));
        }
        let known = text.contains('/') || text == "UTC";
        let zone = known.then(|| TimeZoneDatabase::bundled().get(text).ok()).flatten();
        zone.map(Self::Named)
    }

    fn offset(&self, moment: i128) -> Result<i32, Fault> {
        match self {
            Self::Fixed(seconds) => Ok(*seconds),
            Self::Named(zone) => {
                let moment = jiff::Timestamp::from_nanosecond(moment).map_err(|_| Fault::Range)?;
                Ok(zone.to_offset(moment).seconds())
            }
        }
    }
}

fn fixed(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str, below: i32| {
        let digits = Some(text).filter(|text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
        digits?.parse::<i32>().ok().filter(|number| *number < below)
    };
    Some(sign * (number(hours, 24)? * 3_600 + number(minutes, 60)? * 60))
}

/// A moment that there is in CEL.
pub(crate) fn in_range(moment: i128) -> Result<i128, Fault> {
    if (FIRST..=LAST).contains(&moment) { Ok(moment) } else { Err(Fault::Range) }
}

/// A moment as RFC 3339 writes it.
pub(crate) fn parse(text: &str) -> Result<i128, Fault> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Fault::Text("a time"))?;
    in_range(moment.unix_timestamp_nanos())
}

/// `1h30m`, `-1.5s`, `250ms`: one or more numbers, each with its unit.
pub(crate) fn parse_duration(text: &str) -> Result<i64, Fault> {
    let wrong = Fault::Text("a span of time");
    let (sign, mut left) = match text.strip_prefix('-') {
        Some(left) => (-1, left),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if left == "0" {
        return Ok(0);
    }
    let mut sum: i128 = 0;
    loop {
        let (whole, after) = digits(left);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        let unit_length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, rest) = after.split_at_checked(unit_length).ok_or(wrong)?;
        let unit: i128 = match unit {
            "h" => 3_600 * SECOND,
            "m" => 60 * SECOND,
            "s" => SECOND,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return Err(wrong),
        };
        if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
            return Err(wrong);
        }
        let number = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<i128>().map_err(|_| wrong) };
        let power = 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| wrong)?);
        sum += number(whole)? * unit + number(fraction)? * unit / power;
        left = rest;
        if left.is_empty() {
            return i64::try_from(sign * sum).map_err(|_| Fault::Range);
        }
    }
}

fn digits(text: &str) -> (&str, &str) {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(length).unwrap_or((text, ""))
}

pub(crate) fn shown(moment: i128) -> String {
    let date = OffsetDateTime::from_unix_timestamp_nanos(moment).map(|date| date.to_offset(UtcOffset::UTC));
    date.ok().and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{moment}ns"))
}

pub(crate) fn shown_duration(nanoseconds: i64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if rest == 0 { format!("{seconds}s") } else { format!("{nanoseconds}ns") }
}
