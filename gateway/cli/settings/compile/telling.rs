use assertion::Telling;
use policy::request_field;
use token::{ClaimPlace, Form, ToldClaim};
use yaml::{At, Named, Pairs};

use super::Compiler;
use crate::settings::file::{Field, FieldForm, FormedField};

/// The longest that stands between the texts of a list, in bytes.
const LONGEST: usize = 4;

impl Compiler<'_> {
    /// The fields in which a backend is told claims. What every token is asked for grows with them.
    pub(super) fn telling(&mut self, fields: Pairs<At<Field>>) -> Option<Telling> {
        let mut told = Vec::new();
        let mut spot = None;
        let mut complete = true;
        for (name, field) in fields.0 {
            spot = Some(name.spot);
            let parsed = request_field(&name.value).map_err(|invalid| invalid.to_string());
            let parsed = parsed.and_then(|parsed| match parsed.as_str() {
                "authorization" | "cookie" => Err("this field proves who asks: no claim does".to_owned()),
                text if text.starts_with("content-") => Err("this field speaks of the body".to_owned()),
                _ => Ok(parsed),
            });
            let parsed = parsed.map_err(|message| self.error(&name, message, "for example `X-Email`")).ok();
            match (parsed, self.wanted(field)) {
                (Some(parsed), Some(wanted)) => told.push((parsed, self.place_of(wanted))),
                (None, _) | (_, None) => complete = false,
            }
        }
        let telling = Telling::new(told);
        let telling = telling.map_err(|alias| {
            self.note(&At { spot: spot.unwrap_or_default(), value: () }, alias.to_string());
        });
        telling.ok().filter(|_| complete)
    }

    /// The claims that policies may ask for and count by.
    pub(super) fn claims(&mut self, claims: Vec<Named<Field>>) {
        for Named { name, entry } in claims {
            let name_read: Option<terms::ClaimName> = self.parse(&name);
            let Some(field) = entry else { continue };
            if let Field::Formed(FormedField { join: Some(join), .. }) = &field {
                self.error(join, "conditions see each text of a list for itself".into(), "take `join` away");
                continue;
            }
            let field = At { spot: name.spot, value: field };
            match (name_read, self.wanted(field)) {
                (Some(_), Some(ToldClaim { form: Form::Json, .. })) => {
                    let help = "write the claim alone for a text, or `as: number`, `bool` or `list`";
                    self.error(&name, "policies know nothing of JSON".into(), help);
                }
                (Some(_), Some(ToldClaim { place, form: Form::List(_) })) => {
                    self.wanted.push(ToldClaim { place, form: Form::Texts });
                }
                (Some(_), Some(wanted)) => self.wanted.push(wanted),
                (None, _) | (_, None) => {}
            }
        }
    }

    fn wanted(&mut self, field: At<Field>) -> Option<ToldClaim> {
        let (claim, form, join) = match field.value {
            Field::Text(claim) => (At { spot: field.spot, value: claim }, FieldForm::Text, None),
            Field::Formed(FormedField { claim, r#as, join }) => (claim, r#as, join),
        };
        let place: ClaimPlace = self.parse(&claim)?;
        if let (Some(join), true) = (&join, form != FieldForm::List) {
            self.error(join, "only a list has something between".into(), "write `as: list`, or take it away");
            return None;
        }
        let form = match form {
            FieldForm::Bool => Form::Bool,
            FieldForm::Json => Form::Json,
            FieldForm::List => Form::List(self.separator(join)?),
            FieldForm::Number => Form::Number,
            FieldForm::Text => Form::Text,
        };
        Some(ToldClaim { place, form })
    }

    fn separator(&mut self, join: Option<At<String>>) -> Option<Box<str>> {
        let Some(join) = join else { return Some(",".into()) };
        let fit =
            (1..=LONGEST).contains(&join.value.len()) && join.value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        if !fit {
            let message = "what stands between is one to four characters of visible ASCII, or spaces".into();
            self.error(&join, message, "for example `,` or `; `");
            return None;
        }
        Some(join.value.into())
    }

    /// Where in the list of all that are wanted this one stands: tokens are asked once for what several backends want.
    fn place_of(&mut self, wanted: ToldClaim) -> usize {
        match self.wanted.iter().position(|known| *known == wanted) {
            Some(place) => place,
            None => {
                self.wanted.push(wanted);
                self.wanted.len() - 1
            }
        }
    }
}
