//! What a route does to header fields.

use http::HeaderName;
use terms::{Finding, Findings};
use yaml::At;

use super::Reader;
use crate::compile::names::shown;
use crate::fields::{self, FieldRules, InvalidField};
use crate::file::FieldsEntry;

/// On which way a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Request,
    Response,
}

impl Reader<'_> {
    pub(super) fn fields(&self, entry: Option<&FieldsEntry>, way: Way, findings: &mut Findings) -> FieldRules {
        let mut rules = FieldRules::default();
        let Some(FieldsEntry { set, remove }) = entry else { return rules };
        for (written, value) in &set.0 {
            let name = self.field_name(written, way, findings);
            let name = name.filter(|name| {
                way == Way::Response || !fields::is_credential(name) || {
                    self.refuse_field(written, InvalidField::Credential, findings);
                    false
                }
            });
            let parsed = fields::value(value.as_str()).map_err(|error| self.refuse_field(value, error, findings));
            let (Some(name), Ok(parsed)) = (name, parsed) else { continue };
            if rules.set.iter().any(|(known, _)| *known == name) {
                findings.push(Finding::error(self.place(written), format!("field `{name}` is set twice")));
            }
            rules.set.push((name, parsed));
        }
        for written in remove {
            let Some(name) = self.field_name(written, way, findings) else { continue };
            if rules.remove.contains(&name) || rules.set.iter().any(|(known, _)| *known == name) {
                let finding = Finding::error(self.place(written), format!("field `{name}` stands here twice"));
                findings.push(finding.help("what is set replaces what came, so it need not be removed"));
            }
            rules.remove.push(name);
        }
        rules
    }

    fn field_name(&self, written: &At<String>, way: Way, findings: &mut Findings) -> Option<HeaderName> {
        let parsed = match way {
            Way::Request => fields::request_field(written.as_str()),
            Way::Response => fields::response_field(written.as_str()),
        };
        parsed.map_err(|error| self.refuse_field(written, error, findings)).ok()
    }

    fn refuse_field(&self, written: &At<String>, error: InvalidField, findings: &mut Findings) {
        findings.push(Finding::error(self.place(written), format!("`{}`: {error}", shown(written.as_str()))));
    }
}
