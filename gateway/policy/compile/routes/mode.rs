//! What becomes of requests that authorisation denies, and what their clients are told.

use terms::{Finding, Findings};

use super::Reader;
use crate::file::RouteEntry;
use crate::route::{Access, DenyAs, Mode};

impl Reader<'_> {
    /// The route's own word counts before that of its file.
    pub(super) fn mode(&self, entry: &RouteEntry, access: Option<&Access>, findings: &mut Findings) -> Mode {
        let own = entry.mode.as_ref();
        let Some(written) = own.or(self.mode) else { return Mode::Enforce };
        let mode = written.value.0.unwrap_or_default();
        if access == Some(&Access::Public) {
            if let Some(own) = own {
                let finding = Finding::error(self.place(own), "a public route denies nobody");
                findings.push(finding.help("take `mode` away, or say in `auth` whose tokens are accepted"));
            }
            return Mode::Enforce;
        }
        if mode == Mode::Shadow {
            let message = format!("route `{}` is in shadow: what authorisation denies passes", entry.id.value);
            findings.push(Finding::warning(self.place(written), message));
        }
        mode
    }

    pub(super) fn deny_as(&self, entry: &RouteEntry, access: Option<&Access>, findings: &mut Findings) -> DenyAs {
        let Some(written) = &entry.deny_as else { return DenyAs::Forbidden };
        if access == Some(&Access::Public) {
            let finding = Finding::error(self.place(written), "a public route denies nobody");
            findings.push(finding.help("take `deny_as` away, or say in `auth` whose tokens are accepted"));
        }
        match written.value {
            403 => DenyAs::Forbidden,
            404 => DenyAs::NotFound,
            other => {
                let finding = Finding::error(self.place(written), format!("a denial is not told as {other}"));
                findings.push(finding.help("write `403` or `404`"));
                DenyAs::Forbidden
            }
        }
    }
}
