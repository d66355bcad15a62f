//! Looks at one place of a JSON text without building it: bounded in depth by the parser, in size by whoever calls.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use terms::{Pointer, Step};

use super::Echoed;

pub(super) fn look(pointer: &Pointer, text: &[u8], tenant: &str) -> Echoed {
    let mut said = Echoed::Match;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let look = Look { steps: pointer.steps(), tenant, said: &mut said };
    if look.deserialize(&mut reader).and_then(|()| reader.end()).is_err() {
        return said.max(Echoed::Unreadable);
    }
    said
}

/// What is left of the way from here.
struct Look<'p, 's> {
    steps: &'p [Step],
    tenant: &'p str,
    said: &'s mut Echoed,
}

impl<'p> Look<'p, '_> {
    fn note(&mut self, echoed: Echoed) {
        *self.said = echoed.max(*self.said);
    }

    fn further<'s>(&'s mut self, steps: &'p [Step]) -> Look<'p, 's> {
        Look { steps, tenant: self.tenant, said: self.said }
    }

    /// A value that is no text and has nothing inside: at the end of the way another tenant, before it none.
    fn leaf(mut self) {
        self.note(if self.steps.is_empty() { Echoed::Differs } else { Echoed::Missing });
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        match self.steps {
            [] if text == self.tenant => {}
            [] => self.note(Echoed::Differs),
            [..] => self.note(Echoed::Missing),
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.leaf();
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.leaf();
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.leaf();
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.leaf();
        Ok(())
    }

    /// `null` is how many say that there is none.
    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.note(Echoed::Missing);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        match self.steps {
            [] => {
                self.note(Echoed::Differs);
                while list.next_element::<IgnoredAny>()?.is_some() {}
            }
            [Step::Each, rest @ ..] => while list.next_element_seed(self.further(rest))?.is_some() {},
            [key, rest @ ..] => {
                let index = key.index();
                let (mut place, mut found) = (0_usize, false);
                loop {
                    let next = if index == Some(place) {
                        found = true;
                        list.next_element_seed(self.further(rest))?
                    } else {
                        list.next_element::<IgnoredAny>()?.map(|_| ())
                    };
                    if next.is_none() {
                        break;
                    }
                    place = place.saturating_add(1);
                }
                if !found || index.is_some_and(|index| index >= place) {
                    self.note(Echoed::Missing);
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let (key, rest) = match self.steps {
            [Step::Key(key), rest @ ..] => (Some(&**key), rest),
            // An object in place of a list, or of a text: not what the route says, so nobody knows whose it is.
            [Step::Each, ..] | [] => {
                self.note(Echoed::Differs);
                (None, self.steps)
            }
        };
        let mut found = 0_usize;
        while let Some(name) = map.next_key::<String>()? {
            if key == Some(name.as_str()) {
                found = found.saturating_add(1);
                map.next_value_seed(self.further(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        match (key, found) {
            (None, _) | (Some(_), 1) => {}
            (Some(_), 0) => self.note(Echoed::Missing),
            (Some(_), _) => self.note(Echoed::Differs),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_another_tenant_is_found_wherever_it_stands() {
        use Echoed::{Differs, Match, Missing, Unreadable};
        for (pointer, text, echoed) in [
            ("/tenant", r#"{"tenant":"acme"}"#, Match),
            ("/tenant", r#"{"id":[1,{"tenant":"globex"}],"tenant":"acme","x":{"tenant":"globex"}}"#, Match),
            ("/tenant", r#"{"tenant":"globex"}"#, Differs),
            ("/tenant", r#"{"tenant":"ACME"}"#, Differs),
            ("/tenant", r#"{"tenant":"acme "}"#, Differs),
            ("/tenant", r#"{"tenant":""}"#, Differs),
            ("/tenant", r#"{"tenant":7}"#, Differs),
            ("/tenant", r#"{"tenant":true}"#, Differs),
            ("/tenant", r#"{"tenant":1.5}"#, Differs),
            ("/tenant", r#"{"tenant":["acme"]}"#, Differs),
            ("/tenant", r#"{"tenant":{"id":"acme"}}"#, Differs),
            ("/tenant", r#"{"tenant":null}"#, Missing),
            ("/tenant", r#"{"Tenant":"acme"}"#, Missing),
            ("/tenant", "{}", Missing),
            ("/tenant", "[]", Missing),
            ("/tenant", r#""acme""#, Missing),
            ("/tenant", "7", Missing),
            // A name that stands twice, in whatever spelling and order.
            ("/tenant", r#"{"tenant":"acme","tenant":"acme"}"#, Differs),
            ("/tenant", r#"{"tenant":"acme","\u0074enant":"globex"}"#, Differs),
            ("/t/id", r#"{"t":{"id":"acme"},"t":{}}"#, Differs),
            ("/t/id", r#"{"t":{"id":"acme","x":1,"x":2}}"#, Match),
            ("/t/id", r#"{"t":{"id":"acme"}}"#, Match),
            ("/t/id", r#"{"t":{}}"#, Missing),
            ("/t/id", r#"{"t":"acme"}"#, Missing),
            ("/a~1b/~0", r#"{"a/b":{"~":"acme"}}"#, Match),
            ("/", r#"{"":"acme"}"#, Match),
            ("/1/t", r#"[0,{"t":"acme"},{"t":"globex"}]"#, Match),
            ("/1/t", r#"[{"t":"acme"}]"#, Missing),
            ("/01/t", r#"[0,{"t":"acme"}]"#, Missing),
            ("/items/*/t", r#"{"items":[{"t":"acme"},{"t":"acme"}]}"#, Match),
            ("/items/*/t", r#"{"items":[{"t":"acme"},{"t":"globex"},{}]}"#, Differs),
            ("/items/*/t", r#"{"items":[{"t":"acme"},{}]}"#, Missing),
            ("/items/*/t", r#"{"items":[]}"#, Match),
            ("/items/*/t", r#"{"items":{"t":"acme"}}"#, Differs),
            ("/items/*/t", r#"{"items":null}"#, Missing),
            ("/*/*", r#"[["acme"],["acme","acme"]]"#, Match),
            ("/*", r#"["acme","globex"]"#, Differs),
            // What cannot be read to its end.
            ("/tenant", "", Unreadable),
            ("/tenant", "<html>", Unreadable),
            ("/tenant", r#"{"tenant":"acme""#, Unreadable),
            ("/tenant", r#"{"tenant":"acme"} {"tenant":"globex"}"#, Unreadable),
            ("/tenant", r#"{"tenant":"globex"} x"#, Differs),
            ("/tenant", r#"{tenant:"acme"}"#, Unreadable),
            ("/tenant", r#"{"tenant":"acme",}"#, Unreadable),
            ("/tenant", "\u{feff}{\"tenant\":\"acme\"}", Unreadable),
            ("/tenant", r#"{"tenant":"acme\ud800"}"#, Unreadable),
        ] {
            let pointer: Pointer = pointer.parse().unwrap();
            assert_eq!(look(&pointer, text.as_bytes(), "acme"), echoed, "{text}");
        }
    }

    #[test]
    fn a_text_without_end_of_depth_is_not_followed() {
        let pointer: Pointer = "/tenant".parse().unwrap();
        for open in ["[", "{\"a\":", "{\"tenant\":"] {
            let text = format!("{{\"x\":{}", open.repeat(100_000));
            assert_eq!(look(&pointer, text.as_bytes(), "acme"), Echoed::Unreadable);
        }
        assert_eq!(look(&pointer, b"{\"tenant\":\"ac\xffme\"}", "acme"), Echoed::Unreadable);
    }
}
