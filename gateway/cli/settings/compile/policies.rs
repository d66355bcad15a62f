use tlog::VerifierKey;

use super::Compiler;
use crate::settings::file;

impl Compiler<'_> {
    /// The keys of those who may say what is allowed. Nothing, if a key is not one: then nobody is trusted.
    pub(super) fn signers(&mut self, entry: &file::Policies) -> Option<Vec<VerifierKey>> {
        let keys: Vec<Option<VerifierKey>> = entry.signed_by.iter().map(|key| self.parse(key)).collect();
        keys.into_iter().collect()
    }
}
