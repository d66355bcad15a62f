use std::fmt::Write as _;

use terms::Claimed;

use crate::ClaimPlace;
use crate::claims::Claims;
use crate::json::Json;

/// A claim that backends are told in a field of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToldClaim {
    /// Where it stands.
    pub place: ClaimPlace,
    /// How it is told.
    pub form: Form,
}

/// How a claim is told in a field. Whatever it is instead is never made to fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// `true` or `false`.
    Bool,
    /// Whatever it is, as JSON in ASCII.
    Json,
    /// A list of texts, or one text, with this between them. No text has it inside.
    List(Box<str>),
    /// A number: whole, or with a fraction, and exact.
    Number,
    /// A text.
    Text,
    /// A list of texts, or one text, each for itself: for conditions, and for no field.
    Texts,
}

/// The longest that a field says, in bytes.
const LONGEST: usize = 2_048;

/// More texts of one list are none.
const MOST_TEXTS: usize = 64;

/// Numbers beyond are not exact in every reader (RFC 8259 §6).
const EXACT: f64 = 9_007_199_254_740_991.0;

impl ToldClaim {
    /// What the claims say, as a field can hold it.
    pub(crate) fn of(&self, claims: &Claims) -> Claimed {
        let found = claims.at(&self.place);
        let [value] = *found else {
            // Where a way leads to several places, only a list can tell of all of them.
            return match (&*found, &self.form) {
                ([], _) => Claimed::Absent,
                ([..], Form::List(separator)) => fit(list(&found, separator)),
                ([..], Form::Texts) => texts(&found),
                ([..], Form::Bool | Form::Json | Form::Number | Form::Text) => Claimed::Unfit,
            };
        };
        let text = match (&self.form, value) {
            (_, Json::Null) => return Claimed::Absent,
            (Form::List(_), Json::List(items)) if items.is_empty() => return Claimed::Absent,
            (Form::Texts, Json::List(items)) => return texts(&items.iter().collect::<Vec<_>>()),
            (Form::Texts, Json::Text(_)) => return texts(&[value]),
            (Form::Bool, Json::Bool(value)) => Some(value.to_string()),
            (Form::Number, Json::Number(number)) => self::number(*number),
            (Form::Text, Json::Text(text)) => Some(text.clone()),
            (Form::List(separator), Json::List(items)) => list(&items.iter().collect::<Vec<_>>(), separator),
            (Form::List(separator), Json::Text(_)) => list(&[value], separator),
            (Form::Json, value) => {
                let mut text = String::new();
                json(value, &mut text).map(|()| text)
            }
            (Form::Bool | Form::List(_) | Form::Number | Form::Text | Form::Texts, _) => None,
        };
        fit(text)
    }
}

fn fit(text: Option<String>) -> Claimed {
    // FAIL CLOSED: no byte is left out or replaced, so that nobody reads another value than the issuer's.
    let fits = |text: &String| {
        (1..=LONGEST).contains(&text.len())
            && text.trim() == text
            && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
    };
    text.filter(fits).map_or(Claimed::Unfit, |text| Claimed::Text(text.into()))
}

/// FAIL CLOSED: all of them or none. A list that is too long, or has something else in it, says nothing.
fn texts(items: &[&Json]) -> Claimed {
    let texts = items.iter().map(|item| item.as_text().filter(|text| text.len() <= 255).map(Into::into));
    match texts.collect::<Option<Box<[Box<str>]>>>() {
        Some(texts) if texts.len() <= MOST_TEXTS => Claimed::Texts(texts),
        Some(_) | None => Claimed::Unfit,
    }
}

fn list(items: &[&Json], separator: &str) -> Option<String> {
    let texts = items.iter().map(|item| item.as_text().filter(|text| !text.is_empty() && !text.contains(separator)));
    Some(texts.collect::<Option<Vec<_>>>()?.join(separator))
}

fn number(number: f64) -> Option<String> {
    (number.abs() <= EXACT).then(|| number.to_string())
}

/// JSON without white space, in which everything beyond visible ASCII is escaped.
fn json(value: &Json, out: &mut String) -> Option<()> {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&self::number(*number)?),
        Json::Text(text) => string(text, out)?,
        Json::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                json(item, out)?;
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                string(name, out)?;
                out.push(':');
                json(value, out)?;
            }
            out.push('}');
        }
    }
    (out.len() <= LONGEST).then_some(())
}

fn string(text: &str, out: &mut String) -> Option<()> {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")).ok()?,
        }
    }
    out.push('"');
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(form: Form, claims: &str, place: &str) -> Claimed {
        let claims = Claims::parse(claims.as_bytes()).unwrap();
        ToldClaim { place: place.parse().unwrap(), form }.of(&claims)
    }

    #[test]
    fn a_claim_is_told_in_its_form_or_not_at_all() {
        let list = || Form::List(",".into());
        let text = |text: &str| Claimed::Text(text.into());
        for (form, value, expected) in [
            (Form::Text, r#""ada@example.com""#, text("ada@example.com")),
            (Form::Text, r#""Ada Lovelace""#, text("Ada Lovelace")),
            (Form::Text, "null", Claimed::Absent),
            (Form::Text, "7", Claimed::Unfit),
            (Form::Text, r#"["a"]"#, Claimed::Unfit),
            (Form::Text, r#""""#, Claimed::Unfit),
            (Form::Text, r#"" a""#, Claimed::Unfit),
            (Form::Text, r#""a\r\nX-Roles: admin""#, Claimed::Unfit),
            (Form::Text, r#""a\u0000""#, Claimed::Unfit),
            (Form::Text, r#""a\tb""#, Claimed::Unfit),
            (Form::Text, r#""Müller""#, Claimed::Unfit),
            (Form::Number, "7", text("7")),
            (Form::Number, "-0.5", text("-0.5")),
            (Form::Number, "1e3", text("1000")),
            (Form::Number, "9007199254740993", Claimed::Unfit),
            (Form::Number, "1e300", Claimed::Unfit),
            (Form::Number, r#""7""#, Claimed::Unfit),
            (Form::Bool, "true", text("true")),
            (Form::Bool, r#""true""#, Claimed::Unfit),
            (Form::Bool, "1", Claimed::Unfit),
            (list(), r#"["a","b"]"#, text("a,b")),
            (list(), r#""a""#, text("a")),
            (list(), "[]", Claimed::Absent),
            (list(), r#"["a","b,admin"]"#, Claimed::Unfit),
            (list(), r#"["a",7]"#, Claimed::Unfit),
            (list(), r#"["a",""]"#, Claimed::Unfit),
            (list(), r#"{"a":"b"}"#, Claimed::Unfit),
            (
                Form::Json,
                r#"{"b":[1,true,null],"a":"ü\r\n\""}"#,
                text(r#"{"a":"\u00fc\u000d\u000a\"","b":[1,true,null]}"#),
            ),
            (Form::Json, r#""𝄞""#, text(r#""\ud834\udd1e""#)),
            (Form::Json, "[1e300]", Claimed::Unfit),
        ] {
            let claims = format!(r#"{{"claim":{value}}}"#);
            assert_eq!(told(form.clone(), &claims, "claim"), expected, "{form:?} {value}");
            assert_eq!(told(form, &claims, "other"), Claimed::Absent);
        }
    }

    #[test]
    fn a_list_is_taken_text_by_text_or_not_at_all() {
        let some = |texts: &[&str]| Claimed::Texts(texts.iter().map(|text| (*text).into()).collect());
        let long = format!("[{}]", vec!["\"a\""; 65].join(","));
        for (value, expected) in [
            (r#"["a,b","ü"]"#, some(&["a,b", "ü"])),
            (r#""a b""#, some(&["a b"])),
            ("[]", some(&[])),
            ("null", Claimed::Absent),
            (r#"["a",7]"#, Claimed::Unfit),
            ("true", Claimed::Unfit),
            (&long, Claimed::Unfit),
        ] {
            assert_eq!(told(Form::Texts, &format!(r#"{{"claim":{value}}}"#), "claim"), expected, "{value}");
        }
    }

    #[test]
    fn a_way_to_several_places_is_told_as_a_list_and_a_long_text_not_at_all() {
        let claims = r#"{"orgs":[{"id":"a"},{"id":"b"}]}"#;
        assert_eq!(told(Form::List(" ".into()), claims, "/orgs/*/id"), Claimed::Text("a b".into()));
        assert_eq!(told(Form::Text, claims, "/orgs/*/id"), Claimed::Unfit);
        for (length, fit) in [(LONGEST, true), (LONGEST + 1, false)] {
            let claims = format!(r#"{{"claim":"{}"}}"#, "a".repeat(length));
            assert_eq!(told(Form::Text, &claims, "claim") != Claimed::Unfit, fit);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_claim_a_field_can_hold_what_is_told(value in any::<String>(), json in any::<bool>()) {
            let claims = serde_json::json!({ "claim": [value.clone()] }).to_string();
            let form = if json { Form::Json } else { Form::List(",".into()) };
            if let Claimed::Text(text) = told(form, &claims, "claim") {
                prop_assert!(http::HeaderValue::from_str(&text).is_ok() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
                if json {
                    prop_assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), vec![value]);
                } else {
                    prop_assert_eq!(&*text, value);
                }
            }
        }
    }
}
