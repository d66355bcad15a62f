//! `cloister diff`: what another set of policy files would change, before it does.

use std::path::Path;

use policy::{Change, Known, Policy, Turn};
use serde_json::json;

use crate::args::{Diff, Format};
use crate::failure::Failure;
use crate::load;
use crate::print::{self, Style};

pub(crate) fn run(arguments: &Diff) -> Result<(), Failure> {
    let Diff { old, new, config, format } = arguments;
    let (_, known) = load::config(config)?;
    let changes = policy(old, &known)?.compare(&policy(new, &known)?);
    let count = |turn: Turn| changes.iter().filter(|change| change.turn == turn).count();
    let [gains, loses, differs] = [Turn::Gains, Turn::Loses, Turn::Differs].map(count);
    match format {
        Format::Json => print::line(json!({ "gains": gains, "loses": loses, "differs": differs, "changes": changes })),
        Format::Text => {
            let style = Style::stdout();
            let rows: Vec<Vec<String>> = changes.iter().map(row).collect();
            for (line, change) in print::table(&rows).into_iter().zip(&changes) {
                print::line(match change.turn {
                    Turn::Gains => style.bad(&line),
                    Turn::Loses => style.strong(&line),
                    Turn::Differs => line,
                });
            }
            print::line(format_args!("{gains} gained, {loses} lost, {differs} otherwise"));
        }
    }
    if changes.is_empty() { Ok(()) } else { Err(Failure::No) }
}

/// A set of policy files, whether or not its tests hold.
fn policy(folder: &Path, known: &Known) -> Result<Policy, Failure> {
    Ok(load::compile_untested(&load::texts(folder)?, known)?.policy)
}

fn row(change: &Change) -> Vec<String> {
    let Change { turn, who, what, before, after } = change;
    vec![turn.to_string(), who.clone(), what.clone(), format!("{before} → {after}")]
}
