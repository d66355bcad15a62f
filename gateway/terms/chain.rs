use std::error::Error;

/// Renders an error with all its causes on one line: `what: why: why that`.
///
/// No error of ours repeats its `source()` in its own text, so that whoever prints, prints the chain with this.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn a_cause_follows_what_it_caused() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
    }
}
