use std::time::SystemTime;

use time::{Date, Month, PrimitiveDateTime, Time};

/// From when until when a certificate holds (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Validity {
    /// Reads it from a certificate in DER. `None` for what is not one.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut body, _) = element(certificate, SEQUENCE)?;
        if let Some((_version, rest)) = element(body, VERSION) {
            body = rest;
        }
        let (_serial, rest) = element(body, INTEGER)?;
        let (_algorithm, rest) = element(rest, SEQUENCE)?;
        let (_issuer, rest) = element(rest, SEQUENCE)?;
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = moment(validity)?;
        let (not_after, _) = moment(rest)?;
        Some(Self { not_before, not_after })
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// One element of this kind at the start: its content, and what follows it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let [tag, length, rest @ ..] = der else {
        return None;
    };
    if *tag != kind {
        return None;
    }
    match length {
        0..=0x7f => rest.split_at_checked(usize::from(*length)),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest.split_at_checked(length)
        }
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn moment(der: &[u8]) -> Option<(SystemTime, &[u8])> {
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["a.test".into()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_dates_of_a_certificate_are_read_in_both_of_their_forms() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let short = Validity::of(&certificate((2026, 11, 23), (2049, 12, 31)));
        assert_eq!(short, Some(Validity { not_before: at(1_795_392_000), not_after: at(2_524_521_600) }));
        let long = Validity::of(&certificate((1999, 1, 1), (2050, 1, 1)));
        assert_eq!(long, Some(Validity { not_before: at(915_148_800), not_after: at(2_524_608_000) }));
    }

    #[test]
    fn what_is_cut_short_or_bent_is_no_certificate_and_no_panic() {
        let whole = certificate((2026, 1, 1), (2027, 1, 1));
        for length in 0..whole.len() {
            let _validity = Validity::of(&whole[..length]);
            let mut bent = whole.clone();
            bent[length] ^= 0xff;
            let _validity = Validity::of(&bent);
        }
        assert_eq!(Validity::of(b""), None);
        assert_eq!(Validity::of(b"0\x80"), None);
    }
}
