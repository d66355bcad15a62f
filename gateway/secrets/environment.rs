use std::collections::BTreeMap;

use crate::Secret;

/// Where `${env:NAME}` is looked up. Given, so that a test need not change the process it runs in.
pub trait Environment {
    /// The value of a variable, byte for byte; `None` where it is not set.
    fn variable(&self, name: &str) -> Option<Secret<Vec<u8>>>;
}

/// The environment of this process. Only `cli` makes one.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<Secret<Vec<u8>>> {
        use std::os::unix::ffi::OsStringExt as _;

        std::env::var_os(name).map(|value| Secret::new(value.into_vec()))
    }
}

impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<Secret<Vec<u8>>> {
        self.get(name).map(|value| Secret::new(value.clone().into_bytes()))
    }
}
