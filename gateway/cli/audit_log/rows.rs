use std::path::Path;

use audit::{Reader, Row, Stored};
use tlog::leaf_hash;

use crate::args::Records;
use crate::failure::Failure;
use crate::print;

/// The columns of a record as text.
const TABLE: [&str; 9] = ["time", "tenant", "subject", "route", "method", "decision", "reason", "status", "request"];

/// The columns of a record for spreadsheets. The first three say where the record itself is.
const SHEET: [&str; 32] = [
    "log",
    "index",
    "leaf_hash",
    "time",
    "kind",
    "tenant",
    "tseq",
    "sub",
    "iss",
    "key",
    "ip",
    "method",
    "host",
    "proto",
    "route",
    "rule",
    "policy",
    "upstream",
    "mode",
    "would",
    "decision",
    "reason",
    "status",
    "attempts",
    "in",
    "out",
    "ms",
    "end",
    "id",
    "trace",
    "instance",
    "why",
];

/// Where records are printed.
pub(super) struct Out {
    format: Records,
    /// Rows of the table, until their widths are known.
    rows: Option<Vec<Vec<String>>>,
}

impl Out {
    pub(super) fn new(format: Records) -> Self {
        let rows = (format == Records::Table).then(|| vec![TABLE.map(str::to_owned).to_vec()]);
        Self { rows, ..Self::following(format) }
    }

    /// For records of which nobody knows how many come.
    pub(super) fn following(format: Records) -> Self {
        if format == Records::Csv {
            csv(SHEET.iter().map(|name| (*name).to_owned()));
        }
        Self { format, rows: None }
    }

    /// Prints a record of the log that is called so.
    pub(super) fn put(&mut self, log: &str, stored: &Stored) -> Result<(), Failure> {
        if self.format == Records::Json {
            print::line(String::from_utf8_lossy(&stored.json));
            return Ok(());
        }
        let row = stored.row().map_err(|error| Failure::broke(format_args!("record {}", stored.index), &error))?;
        match (self.format, &mut self.rows) {
            (Records::Csv, _) => csv(sheet(log, stored, &row).into_iter()),
            (_, Some(rows)) => rows.push(table(&row)),
            (_, None) => print::line(table(&row).join("  ")),
        }
        Ok(())
    }

    pub(super) fn end(self) {
        let rows = self.rows.unwrap_or_default();
        print::table(&rows).iter().for_each(print::line);
    }
}

/// What a log is called in sheets.
pub(super) fn log_id(directory: &Path) -> Result<String, Failure> {
    let id = Reader::log_id(directory).map_err(|error| Failure::setup("the log", &error))?;
    Ok(id.map_or_else(String::new, |id| format!("{:032x}", u128::from_be_bytes(id))))
}

fn table(row: &Row<'_>) -> Vec<String> {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let plain = |text: String| text.replace(|c: char| c.is_control(), "\u{fffd}"); // a terminal obeys some of them
    let columns = [
        row.time.to_owned(),
        text(row.tenant),
        text(row.sub),
        text(row.route.or(row.kind)),
        text(row.method.as_deref()),
        text(row.decision),
        text(row.reason),
        status,
        text(row.id),
    ];
    columns.map(plain).to_vec()
}

fn sheet(log: &str, stored: &Stored, row: &Row<'_>) -> Vec<String> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let number = |value: Option<u64>| value.map_or_else(String::new, |number| number.to_string());
    vec![
        log.to_owned(),
        stored.index.to_string(),
        // In hexadecimal: base64 may begin with a plus, which a spreadsheet must not see.
        leaf_hash(&stored.json).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        row.time.to_owned(),
        text(row.kind.or(row.stage)),
        text(row.tenant),
        number(row.tseq),
        text(row.sub),
        text(row.iss),
        text(row.key),
        text(row.ip),
        text(row.method.as_deref()),
        text(row.host.as_deref()),
        text(row.proto),
        text(row.route),
        text(row.rule.as_deref()),
        text(row.policy),
        text(row.upstream),
        text(row.mode),
        text(row.would),
        text(row.decision),
        text(row.reason),
        number(row.status.map(u64::from)),
        number(row.attempts.map(u64::from)),
        number(row.bytes_in),
        number(row.bytes_out),
        number(row.ms),
        text(row.end),
        text(row.id),
        text(row.trace),
        row.instance.to_owned(),
        text(row.why.as_deref()),
    ]
}

/// The heading of a sheet in a file.
pub(super) fn heading(out: &mut impl std::io::Write) -> std::io::Result<()> {
    write!(out, "{}\r\n", csv_line(SHEET.iter().map(|name| (*name).to_owned())))
}

/// A record as a line of a sheet in a file.
pub(super) fn line(out: &mut impl std::io::Write, log: &str, stored: &Stored, row: &Row<'_>) -> std::io::Result<()> {
    write!(out, "{}\r\n", csv_line(sheet(log, stored, row).into_iter()))
}

/// One line of RFC 4180: what needs quotes has them, and lines end with CR LF.
fn csv(cells: impl Iterator<Item = String>) {
    print::line(format_args!("{}\r", csv_line(cells)));
}

/// The line without its end.
fn csv_line(cells: impl Iterator<Item = String>) -> String {
    cells.map(cell).collect::<Vec<_>>().join(",")
}

fn cell(mut text: String) -> String {
    // Clients choose methods and hosts. A spreadsheet would run what begins so, as a formula of whoever opens it.
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_it_says_and_never_a_formula() {
        for (text, written) in [
            ("acme", "acme"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum(1,2)", "\"'@sum(1,2)\""),
            ("\tx", "'\tx"),
        ] {
            assert_eq!(cell(text.into()), written, "{text}");
        }
        assert_eq!(csv_line(["a".into(), "b c".into(), String::new()].into_iter()), "a,b c,");
    }
}
