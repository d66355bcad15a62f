use std::fmt::Write as _;

/// JSON that is written from the front to the back.
#[derive(Debug)]
pub(crate) struct Json(String);

impl Json {
    pub(crate) fn new() -> Self {
        let mut text = String::with_capacity(2048);
        text.push('{');
        Self(text)
    }

    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    /// The same, where there is one.
    pub(crate) fn some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    /// A text that has nothing in it that JSON would escape.
    pub(crate) fn word(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        write!(self.0, "{value}").unwrap_or_default(); // a String takes everything
    }

    pub(crate) fn shown(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        write!(self.0, "\"{value}\"").unwrap_or_default();
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.0.push('{');
        fill(self);
        self.0.push('}');
    }

    /// A list with one object in it.
    pub(crate) fn list(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.0.push_str("[{");
        fill(self);
        self.0.push_str("}]");
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
