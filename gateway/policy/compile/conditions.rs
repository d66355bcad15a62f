//! Conditions of routes and of roles: what is wrong in one is said where it stands in the file.

use std::collections::BTreeSet;
use std::sync::Arc;

use condition::Program;
use terms::{Finding, Findings};
use yaml::At;

use super::{Known, Written};
use crate::condition::{Condition, environment};
use crate::decide::RuleId;
use crate::file::RouteEntry;
use crate::pattern::{PathPattern, Segment};

/// Where the text of a file is looked up, to tell a place inside of a value.
#[derive(Clone, Copy)]
pub(super) struct Sheet<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) text: &'a str,
    pub(super) known: &'a Known,
}

impl Sheet<'_> {
    /// Reads a condition that may ask for these parameters of the path. `name` is that of the rule in records.
    pub(super) fn condition(
        self,
        written: &At<String>,
        name: &str,
        parameters: Vec<String>,
        findings: &mut Findings,
    ) -> Option<Arc<Condition>> {
        match Program::compile(written.as_str(), &environment(parameters, self.known)) {
            Ok(program) => {
                let place = written.spot.place(self.file);
                Some(Arc::new(Condition { rule: RuleId::new(&place, name), place, program }))
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    let spot = yaml::within(self.text, written.spot, written.as_str(), mistake.offset);
                    let finding = Finding::error(spot.place(self.file), mistake.message);
                    findings.push(match mistake.help {
                        Some(help) => finding.help(help),
                        None => finding,
                    });
                }
                None
            }
        }
    }
}

/// The parameters of a path.
pub(super) fn parameters(path: &PathPattern) -> Vec<String> {
    let name = |segment: &Segment| match segment {
        Segment::Literal(_) => None,
        Segment::Parameter(name) => Some(name.to_string()),
    };
    path.segments.iter().filter_map(name).collect()
}

/// The parameters of all paths: what a condition of a role may ask for, which does not know on which route.
pub(super) fn all_parameters(files: &[Written<'_>]) -> Vec<String> {
    let routes = files.iter().flat_map(|file| &file.entries.routes);
    let paths = routes.filter_map(|At { value: RouteEntry { r#match, .. }, .. }| r#match.0.as_ref());
    let patterns = paths.filter_map(|written| PathPattern::parse(written.path.as_str()).ok());
    let names: BTreeSet<String> = patterns.flat_map(|path| parameters(&path)).collect();
    names.into_iter().collect()
}
