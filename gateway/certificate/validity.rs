use std::time::SystemTime;

use time::{Date, Month, PrimitiveDateTime, Time};

use crate::der::{GENERALIZED_TIME, SEQUENCE, UTC_TIME, element};

/// From when until when a certificate holds (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// From then on.
    pub not_before: SystemTime,
    /// Until then.
    pub not_after: SystemTime,
}

impl Validity {
    /// Reads it off the start of what follows the issuer in a certificate: it, and what follows it.
    pub(crate) fn read(der: &[u8]) -> Option<(Self, &[u8])> {
        let (validity, rest) = element(der, SEQUENCE)?;
        let (not_before, after) = moment(validity)?;
        let (not_after, _) = moment(after)?;
        Some((Self { not_before, not_after }, rest))
    }
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
pub(crate) fn moment(der: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (year, text, rest) = if let Some((text, rest)) = element(der, UTC_TIME) {
        let (year, text) = number(text, 2)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, text, rest)
    } else {
        let (text, rest) = element(der, GENERALIZED_TIME)?;
        let (year, text) = number(text, 4)?;
        (year, text, rest)
    };
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    if text != b"Z" {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let time = Time::from_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?).ok()?;
    Some((PrimitiveDateTime::new(date, time).assume_utc().into(), rest))
}

fn number(text: &[u8], digits: usize) -> Option<(u16, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}
