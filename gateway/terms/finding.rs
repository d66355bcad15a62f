use std::fmt;

use crate::Place;

/// Something wrong in a file that a user wrote, said so that they can mend it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// Whether it keeps the file from being used.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, user input in backticks.
    pub message: String,
    /// How to mend it: `did you mean …?`, or what to write instead.
    pub help: Option<String>,
    /// The line of the file, and below it a mark under the words in question. Several lines, for a terminal.
    pub snippet: Option<String>,
    /// Whether its line may be shown.
    pub quote: Quote,
}

/// Whether the line that a [`Finding`] is about may be shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Quote {
    /// It may.
    #[default]
    Line,
    /// It may have a secret in it, and is not shown for any finding.
    Nothing,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The files are usable, but probably do not say what was meant.
    Warning,
    /// The files are not used.
    Error,
}

impl Finding {
    /// A finding that keeps its file from being used.
    #[must_use]
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            severity: Severity::Error,
            message: message.into(),
            help: None,
            snippet: None,
            quote: Quote::Line,
        }
    }

    /// A finding that is worth a look.
    #[must_use]
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, about a line that may have a secret in it.
    #[must_use]
    pub fn unquoted(self) -> Self {
        Self { quote: Quote::Nothing, ..self }
    }

    /// Suggests the nearest of the known names, if one is near.
    #[must_use]
    pub fn did_you_mean<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::nearest(written, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Quotes the line of `text` that the finding's place names, with a mark under its column.
    #[must_use]
    pub fn quoting(self, text: &str) -> Self {
        if self.quote == Quote::Nothing {
            return self;
        }
        let line_index = usize::try_from(self.place.line).unwrap_or(usize::MAX).wrapping_sub(1);
        let Some(line) = text.lines().nth(line_index) else {
            return self;
        };
        let number = self.place.line.to_string();
        let before = usize::try_from(self.place.column).unwrap_or(1).saturating_sub(1);
        let marked = line.chars().skip(before).take_while(|c| !matches!(c, ' ' | ',' | ']' | '}' | ':')).count().max(1);
        let margin = " ".repeat(number.len());
        let line = nameless(line);
        let snippet = format!("{number} | {line}\n{margin} | {}{}", " ".repeat(before), "^".repeat(marked));
        Self { snippet: Some(snippet), ..self }
    }
}

/// The same line, in which addresses name no user and no password.
fn nameless(line: &str) -> String {
    let mut parts = line.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "/\"',]}".contains(c)).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        let host = authority.rsplit_once('@').map_or(authority, |(who, host)| {
            shown.push_str("://");
            shown.extend(who.chars().map(|_| '*')); // as long as it was: the mark below stays where it belongs
            host
        });
        shown.push_str(if host.len() == authority.len() { "://" } else { "@" });
        shown.push_str(host);
        shown.push_str(rest);
    }
    shown
}

/// One line: place, message, help. The snippet is for whoever prints to a terminal.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong, in the order of the files.
#[derive(Clone, Debug, Default, thiserror::Error)]
#[error("{}", self.list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Notes one more.
    pub fn push(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    /// Notes all of another list.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
    }

    /// Whether anything here keeps the files from being used.
    #[must_use]
    pub fn reject(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether there is nothing to say at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The findings, ordered by file, line and column.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| a.place.cmp(&b.place));
        self.list
    }

    /// Quotes for each finding the line that it is about, from the texts of the files.
    #[must_use]
    pub fn quoting<'t>(self, text_of: impl Fn(&str) -> Option<&'t str>) -> Self {
        let line = |finding: &Finding| (std::sync::Arc::clone(&finding.place.file), finding.place.line);
        let secret = self.list.iter().filter(|finding| finding.quote == Quote::Nothing).map(line);
        let secret: std::collections::HashSet<_> = secret.collect();
        let quote = |finding: Finding| match text_of(&finding.place.file) {
            Some(text) if !secret.contains(&line(&finding)) => finding.quoting(text),
            Some(_) | None => finding,
        };
        self.list.into_iter().map(quote).collect()
    }

    /// The findings as they came.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        Self { list: findings.into_iter().collect() }
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self { list: vec![finding] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_quoted_names_nobody_and_holds_no_secret() {
        for (line, shown) in [
            ("url: https://idp.example/keys", "url: https://idp.example/keys"),
            ("url: \"https://ada:pass@idp.example/keys\"", "url: \"https://********@idp.example/keys\""),
            ("a: [http://x@y, https://u:p@z] # a@b", "a: [http://*@y, https://***@z] # a@b"),
            ("mail: ada@example.com", "mail: ada@example.com"),
            ("path: https://idp.example/a@b", "path: https://idp.example/a@b"),
        ] {
            assert_eq!(nameless(line), shown);
        }
        let file: std::sync::Arc<str> = "cloister.yaml".into();
        let at = |line, column| Place { file: std::sync::Arc::clone(&file), line, column };
        let findings: Findings =
            [Finding::error(at(1, 1), "a"), Finding::error(at(1, 9), "b").unquoted(), Finding::error(at(2, 1), "c")]
                .into_iter()
                .collect();
        let quoted = findings.quoting(|_| Some("one: 1, key: hush\ntwo: 2"));
        let snippets: Vec<_> = quoted.iter().map(|finding| finding.snippet.is_some()).collect();
        assert_eq!(snippets, [false, false, true]);
    }

    #[test]
    fn a_finding_says_where_what_and_how_to_mend_it() {
        let place = Place::new(&"acme.yaml".into(), 2, 14);
        let finding = Finding::error(place, "role `viewr` is not defined").did_you_mean("viewr", ["viewer"]);
        assert_eq!(finding.to_string(), "acme.yaml:2:14 role `viewr` is not defined (did you mean `viewer`?)");
        let quoted = finding.quoting("roles:\n  inherits: [viewr, other]\n").snippet;
        assert_eq!(quoted.as_deref(), Some("2 |   inherits: [viewr, other]\n  |              ^^^^^"));
    }
}
