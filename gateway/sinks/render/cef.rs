//! ArcSight's Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value …`.

use std::fmt::Write as _;

use super::Source;
use super::event::{About, Event, Outcome, Severity};
use crate::record::{Fields, text};

/// Ours, and what the format calls it.
const KNOWN: [(&str, &str); 13] = [
    ("time", "cloisterTime"),
    ("instance", "deviceExternalId"),
    ("sub", "suid"),
    ("host", "dhost"),
    ("method", "requestMethod"),
    ("route", "requestContext"),
    ("upstream", "destinationServiceName"),
    ("decision", "act"),
    ("in", "in"),
    ("out", "out"),
    ("why", "msg"),
    ("trace", "cloisterTrace"),
    ("proto", "app"),
];

pub(super) fn render(source: &Source<'_>, fields: Option<&Fields<'_>>) -> String {
    let mut line = String::with_capacity(1024);
    let Some(fields) = fields else {
        header(&mut line, "record.unreadable", "Unreadable record", Severity::High);
        place(&mut line, source);
        pair(&mut line, "msg", &String::from_utf8_lossy(source.json));
        return line;
    };
    let event = Event::of(fields);
    let name = match event.about {
        About::Entity => "Configuration",
        About::Life => "Audit log",
        About::Login => "Authentication",
        About::Request => "Request",
        About::Told => "Event of a backend",
    };
    header(&mut line, &event.code, name, event.severity);
    let outcome = match event.outcome {
        Outcome::Failure => "failure",
        Outcome::Pending => "pending",
        Outcome::Success => "success",
    };
    number(&mut line, "rt", fields.millis().unwrap_or(0));
    pair(&mut line, "outcome", outcome);
    place(&mut line, source);
    for (name, value) in fields.iter() {
        match (name, text(value)) {
            ("v" | "kind", _) => {}
            ("ip", Some(network)) => {
                // `src` holds IPv4 alone.
                let address = network.split('/').next().unwrap_or_default();
                if address.contains(':') {
                    pair(&mut line, "c6a2", address);
                    pair(&mut line, "c6a2Label", "Source network");
                } else {
                    pair(&mut line, "src", address);
                }
            }
            ("tenant", Some(tenant)) => {
                pair(&mut line, "cs1", &tenant);
                pair(&mut line, "cs1Label", "tenant");
            }
            (name, Some(value)) => pair(&mut line, known(name), &value),
            (name, None) => pair(&mut line, known(name), value),
        }
    }
    line
}

fn known(name: &str) -> &str {
    KNOWN.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs)
}

fn header(line: &mut String, code: &str, name: &str, severity: Severity) {
    line.push_str(concat!("CEF:0|Cloister|Cloister|", env!("CARGO_PKG_VERSION"), "|"));
    in_header(line, code);
    line.push('|');
    in_header(line, name);
    let severity = match severity {
        Severity::Informational => "2",
        Severity::Low => "4",
        Severity::Medium => "6",
        Severity::High => "8",
    };
    line.push('|');
    line.push_str(severity);
    line.push('|');
}

fn place(line: &mut String, source: &Source<'_>) {
    write!(line, " externalId={}:{}", source.log, source.index).unwrap_or_default(); // a String takes everything
    pair(line, "cs2", &source.leaf.to_string());
    pair(line, "cs2Label", "leaf hash");
}

fn number(line: &mut String, key: &str, value: u64) {
    write!(line, "{key}={value}").unwrap_or_default();
}

/// What stands between bars: a bar and a backslash are escaped, and it has no line ends.
fn in_header(line: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '|' => line.push_str("\\|"),
            '\\' => line.push_str("\\\\"),
            control if control.is_control() => line.push(' '),
            other => line.push(other),
        }
    }
}

/// What stands behind an equals sign: it and a backslash are escaped, and line ends are written as letters.
fn pair(line: &mut String, key: &str, value: &str) {
    line.push(' ');
    line.extend(key.chars().filter(char::is_ascii_alphanumeric));
    line.push('=');
    for letter in value.chars() {
        match letter {
            '=' => line.push_str("\\="),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            control if control.is_control() => line.push(' '),
            other => line.push(other),
        }
    }
}
