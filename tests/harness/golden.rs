//! Texts that people read and reviewers compare.

/// Compares with a file in `tests/golden/`; with `CLOISTER_GOLDEN=write` in the environment, writes it.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
pub fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var("CLOISTER_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; if that is right, run again with CLOISTER_GOLDEN=write", path.display());
}
