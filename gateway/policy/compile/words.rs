use std::sync::Arc;

use terms::{Finding, Findings};
use yaml::At;

use super::names::shown;

/// Values of `acr` or `amr`, as tokens and challenges name them: one word each, that can stand between quotes (RFC 9470 §3).
pub(super) fn words(file: &Arc<str>, written: &[At<String>], findings: &mut Findings) -> Vec<Box<str>> {
    let is_word = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        (1..=255).contains(&text.len()) && text.bytes().all(fits)
    };
    for word in written.iter().filter(|word| !is_word(word.as_str())) {
        let message = format!("`{}` is not a word that a token could have here", shown(word.as_str()));
        let finding = Finding::error(word.spot.place(file), message);
        findings.push(finding.help("visible ASCII without spaces, `\"` and `\\`"));
    }
    written.iter().map(|word| word.as_str().into()).collect()
}
