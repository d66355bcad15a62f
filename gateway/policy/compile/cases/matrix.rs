use std::net::IpAddr;
use std::time::SystemTime;

use terms::{Finding, Findings};
use yaml::{At, Pairs};

use super::Reader;
use crate::case::{Case, Expected};
use crate::compile::names::{parse, shown};
use crate::file::{MatrixEntry, WhoEntry};
use crate::judge::{Asked, Asker, Question};

/// Stands for all who are not named.
const OTHERS: &str = "*";

impl Reader<'_> {
    /// A test for each who in each row.
    pub(super) fn matrix(&self, written: &At<MatrixEntry>, findings: &mut Findings) -> Vec<Case> {
        let MatrixEntry { name, r#as, from, headers, now, expect } = &written.value;
        let mut cases = Vec::new();
        let client: Option<Option<IpAddr>> = from.as_ref().map(|address| parse(self.file, address, findings));
        let now: Option<Option<SystemTime>> = now.as_ref().map(|now| self.time(now, findings));
        let headers = super::headers(headers);
        let (Some(client), Some(now)) = (known(client), known(now)) else { return cases };
        let who: Vec<(&At<String>, Option<Option<Asker>>)> = r#as
            .0
            .iter()
            .map(|(name, who)| {
                let asker = match &who.value {
                    WhoEntry::Nobody(_) => Some(None),
                    WhoEntry::Token(entry) => self.asker(entry, findings).map(Some),
                };
                (name, asker)
            })
            .collect();
        for (row, cells) in &expect.0 {
            let request: Option<Asked> = parse(self.file, row, findings);
            self.check_names(row, cells, r#as, findings);
            for (column, asker) in &who {
                let cell = cell(cells, column.as_str());
                let expected = cell.and_then(|cell| self.outcome(cell, findings));
                let (Some(request), Some(asker), Some(cell), Some(expected)) = (&request, asker, cell, expected) else {
                    continue;
                };
                let (request, asker) = (request.clone(), asker.clone());
                let title = format!("{request} as {}", shown(column.as_str()));
                cases.push(Case {
                    place: cell.spot.place(self.file),
                    title: name.as_ref().map_or(title.clone(), |name| format!("{}: {title}", shown(name.as_str()))),
                    question: Question { request, asker, client, now, headers: headers.clone() },
                    expected,
                });
            }
        }
        cases
    }

    /// A row names those that there are, and leaves nobody out.
    fn check_names(
        &self,
        row: &At<String>,
        cells: &At<Pairs<At<String>>>,
        who: &Pairs<At<WhoEntry>>,
        findings: &mut Findings,
    ) {
        let names = || who.0.iter().map(|(name, _)| name.as_str());
        for (name, _) in cells.value.0.iter().filter(|(name, _)| name.as_str() != OTHERS) {
            if !names().any(|known| known == name.as_str()) {
                let message = format!("nobody here is called `{}`", shown(name.as_str()));
                let finding = Finding::error(name.spot.place(self.file), message);
                findings.push(finding.did_you_mean(name.as_str(), names()));
            }
        }
        let missing: Vec<String> = names().filter(|name| cell(cells, name).is_none()).map(shown).collect();
        if !missing.is_empty() {
            let message = format!("this row does not say what becomes of `{}`", missing.join("`, `"));
            let finding = Finding::error(row.spot.place(self.file), message);
            findings.push(finding.help("say it, or say it of all others: `\"*\": policy.denied`"));
        }
    }

    fn outcome(&self, cell: &At<String>, findings: &mut Findings) -> Option<Expected> {
        match cell.as_str() {
            "allow" => Some(Expected::Allow { by: None, from: None }),
            "break_glass" => Some(Expected::BreakGlass(None)),
            _ => self.reason(cell, findings).map(Expected::Deny),
        }
    }
}

fn cell<'c>(cells: &'c At<Pairs<At<String>>>, name: &str) -> Option<&'c At<String>> {
    let find = |wanted: &str| cells.value.0.iter().find(|(known, _)| known.as_str() == wanted).map(|(_, cell)| cell);
    find(name).or_else(|| find(OTHERS))
}

/// What was left out is not there; what could not be read leaves nothing to go on with.
fn known<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        Some(read) => read.map(Some),
        None => Some(None),
    }
}
