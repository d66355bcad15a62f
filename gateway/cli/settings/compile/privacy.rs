use subjects::Fields;

use super::{Compiler, Given};
use crate::settings::file::PersonalField;
use crate::settings::{Privacy, file};

impl Compiler<'_> {
    pub(super) fn privacy(&mut self, written: file::Privacy) -> Option<Privacy> {
        let file::Privacy { root, fields } = written;
        let fields = fields.map_or(Fields::ALL, |fields| Fields {
            client_ip: fields.contains(&PersonalField::ClientIp),
            user_agent: fields.contains(&PersonalField::UserAgent),
        });
        let Some(written) = root else { return Some(Privacy { root: None, fields }) };
        let Given { reference, secret: root, .. } = self.key_for(&written, "the subject vault")?;
        if root.expose().len() < 32 {
            self.error(&written, "a root has at least 32 bytes".into(), "make one with `openssl rand -hex 32`");
            return None;
        }
        let why = "another root does not open the subject vault: put the one back that it was made with";
        self.followed.pin("audit.privacy.root", reference, &root, why);
        Some(Privacy { root: Some(root), fields })
    }
}
