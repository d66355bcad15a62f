use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

/// Why a text is not a quantity.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUnit {
    /// Not `<n>B`, `<n>KiB`, `<n>MiB` or `<n>GiB`.
    #[error("a size is a number and a unit: `512B`, `64KiB`, `10MiB`, `1GiB`")]
    Bytes,
    /// Not `<n>MiB/m` or the like.
    #[error("a rate of bytes is a size per unit of time: `512KiB/s`, `100MiB/m`, `10GiB/d`")]
    ByteRate,
    /// Larger than can be counted.
    #[error("this number is too large")]
    Large,
    /// Not `<n>/s`, `/m`, `/h` or `/d`.
    #[error("a rate is a number per unit of time: `10/s`, `100/m`, `5000/h`, `100000/d`")]
    Rate,
    /// Not `<n>%`, or more than all.
    #[error("a share is a number from 0 to 100 and a percent sign: `50%`")]
    Share,
    /// Not `<n>ms`, `s`, `m`, `h` or `d`.
    #[error("a time is a number and a unit: `250ms`, `10s`, `5m`, `1h`, `30d`")]
    Span,
    /// A rate of nothing, which would be no limit in disguise.
    #[error("a rate of zero lets nothing through; where that is meant, write `burst: 0` beside any rate")]
    Zero,
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

/// A number of bytes, written with its unit: `64KiB`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteCount(pub u64);

/// So many bytes in each span of time: `100MiB/m`. Never zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteRate {
    /// How many.
    pub bytes: NonZeroU64,
    /// In how long: a second, a minute, an hour or a day.
    pub per: Duration,
}

/// A part of something, in percent, 100 at most: `50%`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share(u8);

impl Share {
    /// One half.
    pub const HALF: Self = Self(50);

    /// In percent.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// All that is within this share of so many, rounded down.
    #[must_use]
    pub const fn of(self, all: usize) -> usize {
        all.saturating_mul(self.0 as usize) / 100
    }
}

/// A span of time, written with its unit: `10s`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

/// So many in each span of time: `100/m`. Never zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which span: a second, a minute, an hour or a day.
    pub per: Duration,
}

impl FromStr for ByteCount {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split(text).ok_or(InvalidUnit::Bytes)?;
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(InvalidUnit::Bytes),
        };
        number.checked_mul(factor).map(Self).ok_or(InvalidUnit::Large)
    }
}

impl FromStr for Share {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match split(text).ok_or(InvalidUnit::Share)? {
            (percent @ 0..=100, "%") => Ok(Self(percent as u8)),
            _ => Err(InvalidUnit::Share),
        }
    }
}

impl FromStr for Span {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split(text).ok_or(InvalidUnit::Span)?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(InvalidUnit::Span),
        };
        number.checked_mul(milliseconds).map(Duration::from_millis).map(Self).ok_or(InvalidUnit::Large)
    }
}

/// What stands behind the slash of a rate.
fn unit_of_time(unit: &str) -> Option<Duration> {
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

fn letter_of(per: Duration) -> &'static str {
    match per.as_secs() {
        1 => "s",
        60 => "m",
        3_600 => "h",
        _ => "d",
    }
}

impl FromStr for ByteRate {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (bytes, unit) = text.split_once('/').ok_or(InvalidUnit::ByteRate)?;
        let per = unit_of_time(unit).ok_or(InvalidUnit::ByteRate)?;
        let ByteCount(bytes) = bytes.parse().map_err(|error| match error {
            InvalidUnit::Large => InvalidUnit::Large,
            InvalidUnit::Bytes
            | InvalidUnit::ByteRate
            | InvalidUnit::Rate
            | InvalidUnit::Share
            | InvalidUnit::Span
            | InvalidUnit::Zero => InvalidUnit::ByteRate,
        })?;
        Ok(Self { bytes: NonZeroU64::new(bytes).ok_or(InvalidUnit::Zero)?, per })
    }
}

impl FromStr for Rate {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split(text).ok_or(InvalidUnit::Rate)?;
        let per = unit.strip_prefix('/').and_then(unit_of_time).ok_or(InvalidUnit::Rate)?;
        let count = NonZeroU32::new(u32::try_from(number).map_err(|_| InvalidUnit::Large)?).ok_or(InvalidUnit::Zero)?;
        Ok(Self { count, per })
    }
}

/// The largest unit that leaves a whole number.
impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(size, _)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The largest unit that leaves a whole number.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(size, _)| milliseconds >= *size && milliseconds.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{}{unit}", milliseconds / size),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, letter_of(self.per))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", ByteCount(self.bytes.get()), letter_of(self.per))
    }
}

/// Read from text alone: a bare number has no unit, and guessing one is how a second becomes a minute.
macro_rules! deserialize {
    ($($name:ident: $expected:literal)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;

                impl Visitor<'_> for Written {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(|invalid| E::custom(format_args!("`{text}`: {invalid}")))
                    }
                }

                deserializer.deserialize_str(Written)
            }
        }
    )*};
}
deserialize! {
    ByteCount: "a size with its unit, such as `64KiB`"
    Rate: "a rate with its unit, such as `100/m`"
    Share: "a share, such as `50%`"
    Span: "a time with its unit, such as `10s`"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_their_unit_and_print_back_the_same() {
        for text in ["64KiB", "1B", "10MiB", "3GiB"] {
            assert_eq!(text.parse::<ByteCount>().unwrap().to_string(), text);
        }
        for text in ["250ms", "10s", "5m", "1h", "30d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["10/s", "100/m", "5000/h", "1/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["512KiB/s", "100MiB/m", "10GiB/d", "1B/h"] {
            assert_eq!(text.parse::<ByteRate>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("100/m", InvalidUnit::ByteRate),
            ("100MiB", InvalidUnit::ByteRate),
            ("100MiB/w", InvalidUnit::ByteRate),
            ("0B/s", InvalidUnit::Zero),
        ] {
            assert_eq!(text.parse::<ByteRate>(), Err(error), "{text}");
        }
        for text in ["0%", "50%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for text in ["50", "101%", "-1%", "5.5%", "%"] {
            assert_eq!(text.parse::<Share>(), Err(InvalidUnit::Share), "{text}");
        }
        assert_eq!("64".parse::<ByteCount>(), Err(InvalidUnit::Bytes));
        assert_eq!("10".parse::<Span>(), Err(InvalidUnit::Span));
        assert_eq!("-1s".parse::<Span>(), Err(InvalidUnit::Span));
        assert_eq!("99999999999999999d".parse::<Span>(), Err(InvalidUnit::Large));
        assert_eq!("0/m".parse::<Rate>(), Err(InvalidUnit::Zero));
        assert_eq!("100/w".parse::<Rate>(), Err(InvalidUnit::Rate));
    }

    #[test]
    fn a_share_is_rounded_down() {
        let half: Share = "50%".parse().unwrap();
        assert_eq!([0, 1, 2, 3, 7].map(|all| half.of(all)), [0, 0, 1, 1, 3]);
    }
}
