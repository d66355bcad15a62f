//! What a route does to header fields.

use http::HeaderName;
use terms::{Finding, Findings};
use yaml::At;

use super::Reader;
use crate::compile::names::shown;
use crate::destination::Destination;
use crate::fields::{self, FieldRules, InvalidField};
use crate::file::FieldsEntry;
use crate::known::Standing;
use crate::route::{AcceptsKeys, Access};

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

    /// Refuses what would change nothing: fields in which a backend is told claims are written behind a route's rules.
    pub(super) fn check_told(
        &self,
        entry: Option<&FieldsEntry>,
        access: Option<&Access>,
        upstream: Option<&Destination>,
        findings: &mut Findings,
    ) {
        let takes_keys = matches!(access, Some(Access::Guarded { keys: AcceptsKeys::Yes, .. }));
        for (name, _) in entry.into_iter().flat_map(|entry| &entry.set.0) {
            if takes_keys && name.value.eq_ignore_ascii_case("x-api-key") {
                let message = format!("`{}`: with `api_keys` no backend gets this field", name.value);
                findings.push(
                    Finding::error(self.place(name), message)
                        .help("take it away, or let the backend look in another field"),
                );
            }
        }
        for name in entry.into_iter().flat_map(FieldsEntry::names) {
            let teller = upstream.iter().flat_map(|upstream| upstream.all()).filter(|upstream| {
                let known = self.known.upstreams.look_up(upstream.as_str());
                let Standing::Sound(_, known) = known else { return false };
                known.told.iter().any(|told| terms::same_field(told, name.as_str()))
            });
            let Some(teller) = teller.min() else { continue };
            let message = format!("`{}`: in this field upstream `{teller}` is told a claim", shown(name.as_str()));
            let finding = Finding::error(self.place(name), message);
            findings.push(finding.help("take it away here, or under `fields` of the upstream's `assertion`"));
        }
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
