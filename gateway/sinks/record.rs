use std::borrow::Cow;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A record, field by field, as it was written. A field that this build does not know goes with the others: what is new
/// in the log is not lost on its way out.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// A value as JSON.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.get())
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(name, value)| (*name, value.get()))
    }

    /// When it happened, in milliseconds since the Unix epoch.
    pub(crate) fn millis(&self) -> Option<u64> {
        millis(&self.text("time")?)
    }

    /// The reason of a request, the kind of the log's own.
    pub(crate) fn event(&self) -> Cow<'a, str> {
        self.text("kind").or_else(|| self.text("reason")).unwrap_or(Cow::Borrowed("record.unreadable"))
    }
}

/// What a value says that is a text.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn millis(text: &str) -> Option<u64> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(32);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_without_knowing_its_fields() {
        let fields =
            Fields::parse(br#"{"v":1,"new":{"a":[1]},"time":"2026-11-27T18:54:01.007Z","why":"a\nb"}"#).unwrap();
        assert_eq!(fields.raw("new"), Some(r#"{"a":[1]}"#));
        assert_eq!(fields.text("why").as_deref(), Some("a\nb"));
        assert_eq!(fields.number("v"), Some(1));
        assert_eq!(fields.millis(), Some(1_795_805_641_007));
        assert_eq!(fields.event(), "record.unreadable");
        assert!(Fields::parse(b"[1]").is_none());
    }
}
