//! Where responses name their tenant.

use terms::{ByteCount, Finding, Findings};
use yaml::At;

use super::Reader;
use crate::compile::names::{parse, shown};
use crate::echo::{Echo, EchoPlace};
use crate::fields;
use crate::file::EchoEntry;
use crate::route::{Access, Upgrade};

const MAX_BODY: ByteCount = ByteCount(1 << 20);
const LARGEST: ByteCount = ByteCount(16 << 20);

impl Reader<'_> {
    pub(super) fn echo(
        &self,
        written: &At<yaml::Tried<EchoEntry>>,
        access: Option<&Access>,
        upgrade: Upgrade,
        findings: &mut Findings,
    ) -> Option<Echo> {
        let EchoEntry { header, json, mode, missing, max_body } = written.value.0.as_ref()?;
        if access == Some(&Access::Public) {
            let finding = Finding::error(self.place(written), "a public route knows no tenant to compare with");
            findings.push(finding.help("take `echo` away, or say in `auth` whose tokens are accepted"));
        }
        if upgrade != Upgrade::None {
            let message = "what flows after an upgrade names no tenant";
            findings.push(Finding::error(self.place(written), message).help("give it a route of its own"));
        }
        let place = match (header, json) {
            (Some(name), None) => match fields::response_field(name.as_str()) {
                Ok(name) => Some(EchoPlace::Header(name)),
                Err(error) => {
                    let message = format!("`{}`: {error}", shown(name.as_str()));
                    findings.push(Finding::error(self.place(name), message));
                    None
                }
            },
            (None, Some(pointer)) => parse(self.file, pointer, findings).map(EchoPlace::Json),
            (Some(_), Some(_)) | (None, None) => {
                let message = "the tenant stands in a `header` or in `json`: one of them";
                findings.push(Finding::error(self.place(written), message));
                None
            }
        };
        if let (Some(max_body), Some(_), None) = (max_body, header, json) {
            findings.push(Finding::error(
                self.place(max_body),
                "a header is there before any body, so this bounds nothing",
            ));
        }
        let bytes = max_body.as_ref().map_or(Some(MAX_BODY), |text| parse(self.file, text, findings));
        if let (Some(at), Some(_)) = (max_body, bytes.filter(|bytes| *bytes == ByteCount(0) || *bytes > LARGEST)) {
            let finding = Finding::error(self.place(at), "so much is held in memory for each request");
            findings.push(finding.help("at least 1B, at most 16MiB"));
        }
        Some(Echo {
            place: place?,
            mode: mode.as_ref().and_then(|mode| mode.0).unwrap_or_default(),
            missing: missing.as_ref().and_then(|missing| missing.0).unwrap_or_default(),
            max_body: bytes?,
        })
    }
}
