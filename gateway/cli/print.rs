#![expect(clippy::print_stderr, reason = "this is the one module that prints")]

use std::io::{IsTerminal as _, Write as _};

use terms::{Finding, Findings, Severity};

use crate::failure::Failure;

/// Colours, if standard output is a terminal and `NO_COLOR` is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style(bool);

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// Whether colours are used at all.
    pub(crate) const fn colours(self) -> bool {
        self.0
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// Prints a line on standard output. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn line(text: impl std::fmt::Display) {
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints a line on standard error.
pub(crate) fn notice(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Prints why a command did not say yes.
pub(crate) fn failure(failure: Failure) {
    let style = Style::stderr();
    match failure {
        Failure::Listed | Failure::No | Failure::Log(_, None) => {}
        Failure::Findings(findings) => findings_to(findings, style, notice),
        Failure::Setup(text) | Failure::Broke(text) | Failure::Held(text) | Failure::Log(_, Some(text)) => {
            notice(format_args!("{} {text}", style.bad("error:")))
        }
    }
}

/// Prints findings, each with its place, its help and the line that it is about, and how many there were.
pub(crate) fn findings_to(findings: Findings, style: Style, mut print: impl FnMut(String)) {
    let findings = findings.sorted();
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    for finding in &findings {
        print(finding_text(finding, style));
    }
    print(format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")));
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn finding_text(finding: &Finding, style: Style) -> String {
    let severity = match finding.severity {
        Severity::Error => style.bad("error:"),
        Severity::Warning => style.strong("warning:"),
    };
    let mut text = format!("{} {severity} {}", style.strong(&finding.place.to_string()), finding.message);
    for line in finding.snippet.iter().flat_map(|snippet| snippet.lines()) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    if let Some(help) = &finding.help {
        text.push_str("\n    help: ");
        text.push_str(help);
    }
    text
}

/// Rows as text whose columns line up. The last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "long".into(), "x".into()], vec!["bbb".into(), "s".into(), "y".into()]];
        assert_eq!(table(&rows), ["a    long  x", "bbb  s     y"]);
    }
}
