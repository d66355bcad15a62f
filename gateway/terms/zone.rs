use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};

/// A time zone by its name in the IANA database. The program brings the database along: a machine may have none, or an old one,
/// and what a gateway enforces must not depend on that.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    zone: TimeZone,
    /// The day and the month that were asked for last: seconds since the Unix epoch of their beginning and their end. A day is
    /// looked up once, and not for each request in it.
    latest: Arc<[AtomicU64; 2]>,
}

/// A stretch of the calendar, in the time zone of whoever it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to that of the next.
    Month,
}

/// Why a text is no time zone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a time zone is written as in the IANA database: `Europe/Berlin`, `America/New_York`, `UTC`")]
pub struct InvalidZone;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::of("UTC".into(), TimeZone::UTC));

impl Zone {
    fn of(name: Arc<str>, zone: TimeZone) -> Self {
        Self { name, zone, latest: Arc::default() }
    }

    /// The zone of whoever has no other.
    #[must_use]
    pub fn utc() -> &'static Self {
        &UTC
    }

    /// When the period ends in which this moment lies, both in seconds since the Unix epoch. Neither allocates nor waits.
    #[must_use]
    pub fn end_of(&self, period: Period, now: u32) -> u32 {
        let [day, month] = &*self.latest;
        let latest = match period {
            Period::Day => day,
            Period::Month => month,
        };
        let (start, end) = unpacked(latest.load(Ordering::Relaxed));
        if start <= now && now < end {
            return end;
        }
        // FAIL CLOSED: of a time that no calendar has, the period never ends.
        let (start, end) = self.period(period, now).unwrap_or((now, u32::MAX));
        latest.store(u64::from(start) << 32 | u64::from(end), Ordering::Relaxed);
        end
    }

    fn period(&self, period: Period, now: u32) -> Option<(u32, u32)> {
        let now = Timestamp::from_second(i64::from(now)).ok()?.to_zoned(self.zone.clone());
        let (start, next) = match period {
            Period::Day => (now.start_of_day().ok()?, now.tomorrow().ok()?),
            Period::Month => {
                let first = now.first_of_month().ok()?;
                (first.start_of_day().ok()?, first.checked_add(1.month()).ok()?)
            }
        };
        // The next day begins when its first second is there, which need not be at midnight.
        let seconds = |at: jiff::Zoned| u32::try_from(at.timestamp().as_second()).ok();
        Some((seconds(start)?, seconds(next.start_of_day().ok()?)?))
    }

    /// The name, as the database writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

const fn unpacked(both: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = both.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

impl Period {
    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let zone = DATABASE.get(text).map_err(|_| InvalidZone)?;
        // One spelling of each name, so that it reads the same everywhere.
        if zone.iana_name() != Some(text) {
            return Err(InvalidZone);
        }
        Ok(Self::of(text.into(), zone))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u32 {
        u32::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap()
    }

    #[test]
    fn days_and_months_end_where_their_people_say_so() {
        for (zone, period, now, end) in [
            ("UTC", Period::Day, "2026-11-28T23:59:59Z", "2026-11-29T00:00:00Z"),
            ("UTC", Period::Day, "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("UTC", Period::Month, "2028-02-28T12:00:00Z", "2028-03-01T00:00:00Z"),
            ("UTC", Period::Month, "2027-01-31T23:59:59Z", "2027-02-01T00:00:00Z"),
            ("UTC", Period::Month, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            ("Europe/Berlin", Period::Day, "2026-11-28T22:59:59Z", "2026-11-28T23:00:00Z"),
            ("Europe/Berlin", Period::Day, "2026-11-28T23:00:00Z", "2026-11-29T23:00:00Z"),
            // The nights in which clocks are put forward and back: days of 23 and of 25 hours.
            ("Europe/Berlin", Period::Day, "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
            ("Europe/Berlin", Period::Day, "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"),
            ("Europe/Berlin", Period::Month, "2027-03-15T00:00:00Z", "2027-03-31T22:00:00Z"),
            ("America/New_York", Period::Month, "2026-12-01T04:59:59Z", "2026-12-01T05:00:00Z"),
            ("Asia/Kolkata", Period::Day, "2026-11-28T18:29:59Z", "2026-11-28T18:30:00Z"),
            ("Pacific/Auckland", Period::Month, "2026-11-30T11:00:00Z", "2026-12-31T11:00:00Z"),
            // There the clocks are put forward at midnight, so that a day begins at one o'clock.
            ("Africa/Cairo", Period::Day, "2024-04-25T12:00:00Z", "2024-04-25T22:00:00Z"),
        ] {
            let parsed: Zone = zone.parse().unwrap();
            for _ in 0..2 {
                assert_eq!(parsed.end_of(period, at(now)), at(end), "{zone} {now}");
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_in_the_day_that_it_says() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        for (now, end) in
            [("2026-11-29T12:00:00Z", "2026-11-29T23:00:00Z"), ("2026-11-28T12:00:00Z", "2026-11-28T23:00:00Z")]
        {
            assert_eq!(zone.end_of(Period::Day, at(now)), at(end));
        }
    }

    #[test]
    fn a_zone_is_written_as_the_database_writes_it() {
        for text in ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires"] {
            assert_eq!(text.parse::<Zone>().unwrap().to_string(), text);
        }
        for text in ["europe/berlin", "Berlin", "", "CET+1", "../etc/passwd"] {
            assert_eq!(text.parse::<Zone>(), Err(InvalidZone), "{text}");
        }
    }
}
