//! What goes with a report, so that others can check it; and the check.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use audit::{Row, Stored};
use ledger::KeyChanges;
use serde_json::Value;
use tlog::Receipt;

use super::{Making, Report, html};
use crate::audit_log::proofs::{following, read_policy};
use crate::failure::Failure;
use crate::print::{self, Style};

/// A line is longer than any record: the rest is not read.
const LINE_MAX: usize = 1 << 16;

/// Writes everything but the records, which are there.
pub(super) fn write(
    out: &Path,
    report: &Report,
    proven: Option<(&Stored, &Receipt)>,
    policy: Option<&str>,
    changes: &KeyChanges,
) -> Result<(), Failure> {
    let put = |name: &str, content: &str| {
        let path = out.join(name);
        fs::write(&path, content).map_err(|error| Failure::broke(path.display(), &error))
    };
    let json = serde_json::to_string_pretty(report).map_err(|error| Failure::broke("the report", &error))?;
    put("report.json", &(json + "\n"))?;
    put("report.html", &html::page(report))?;
    put("README.txt", include_str!("README.txt"))?;
    if let Some((head, receipt)) = proven {
        put("head.tlog-proof", &receipt.to_string())?;
        put("checkpoint", &receipt.checkpoint.to_string())?;
        put("head.json", &String::from_utf8_lossy(&head.json))?;
    }
    changes.copy_to(&out.join("keys")).map_err(|error| Failure::broke(out.display(), &error))?;
    policy.map_or(Ok(()), |policy| put("policy", policy))
}

/// Checks a bundle by nothing but itself and whom to trust.
pub(in crate::audit_log) fn verify(bundle: &Path, policy: &Path) -> Result<(), Failure> {
    let policy = following(bundle, read_policy(policy)?)?;
    let read = |name: &str| {
        let path = bundle.join(name);
        fs::read_to_string(&path).map_err(|error| Failure::setup(path.display(), &error))
    };
    let report: Value =
        serde_json::from_str(&read("report.json")?).map_err(|error| Failure::setup("report.json", &error))?;
    let said = report.get("summary").cloned().unwrap_or_default();
    let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (tenant, from, to) = (word("tenant"), word("from"), word("to"));
    let receipt = read("head.tlog-proof")?.parse::<Receipt>();
    let receipt = receipt.map_err(|error| Failure::setup("head.tlog-proof", &error))?;

    let mut making = Making::new(&tenant, &from, &to);
    let mut wrong = Vec::new();
    let path = bundle.join("records.jsonl");
    let failed = |error: std::io::Error| Failure::setup(path.display(), &error);
    let mut lines = BufReader::new(File::open(&path).map_err(failed)?);
    let (mut line, mut head, mut count) = (Vec::new(), Vec::new(), 0_u64);
    while std::io::Read::take(&mut lines, LINE_MAX as u64).read_until(b'\n', &mut line).map_err(failed)? > 0 {
        count += 1;
        let record = line.strip_suffix(b"\n").unwrap_or(&line);
        match Row::parse(record) {
            Ok(row) => drop(making.take(&row, record)),
            Err(error) => wrong.push(format!("line {count} of records.jsonl: {}", terms::chain(&error))),
        }
        head.clear();
        head.extend_from_slice(record);
        line.clear();
        if wrong.len() > 100 {
            break;
        }
    }
    let summary = making.done();
    if !summary.is_whole() {
        wrong.push(format!(
            "these records of the tenant do not follow on the one before them: {:?}",
            summary.chain.broken_at
        ));
    }
    if serde_json::to_value(&summary).ok() != Some(said) {
        wrong.push("report.json does not say what the records say".to_owned());
    }
    let style = Style::stdout();
    match receipt.verify(&head, &policy) {
        Ok(trusted) => {
            let by: Vec<_> = trusted.by.iter().map(|signed| signed.key.name().to_string()).collect();
            print::line(format_args!(
                "the last record is record {} of the log {} of {} records, signed by {}",
                receipt.index,
                trusted.checkpoint.origin,
                trusted.checkpoint.size,
                by.join(", ")
            ));
        }
        Err(why) => wrong.push(format!("the last record: {}", terms::chain(&why))),
    }
    if wrong.is_empty() {
        let (first, last) = (summary.chain.first, summary.chain.last);
        print::line(style.good(&format!("records {first} to {last} of {tenant} are whole, and the report is theirs")));
        return Ok(());
    }
    wrong.iter().for_each(|line| print::line(style.bad(line)));
    Err(Failure::No)
}
