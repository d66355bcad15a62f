//! `cloister fmt`: policy files in the one layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use similar::TextDiff;
use terms::{Finding, Findings, Place};

use crate::args::Fmt;
use crate::failure::Failure;
use crate::{load, print};

/// Lays files out, or says which are not. One that cannot be is left alone, and is no reason to leave the others.
pub(crate) fn run(arguments: &Fmt) -> Result<(), Failure> {
    let mut paths = Vec::new();
    for path in &arguments.paths {
        match path.is_dir() {
            true => paths.extend(load::paths(path)?),
            false => paths.push(path.clone()),
        }
    }
    let (mut findings, mut changed) = (Findings::default(), 0_usize);
    for path in &paths {
        match one(path) {
            Err(more) => findings.append(more),
            Ok((before, after)) if before == after => {}
            Ok((before, after)) => {
                changed += 1;
                let shown = path.display().to_string();
                if arguments.diff {
                    let diff = TextDiff::from_lines(&before, &after);
                    print::line(diff.unified_diff().header(&shown, &shown).to_string().trim_end());
                } else {
                    print::line(&shown);
                }
                if !arguments.check && !arguments.diff {
                    replace(path, &after).map_err(|error| Failure::broke(&shown, &error))?;
                }
            }
        }
    }
    if findings.reject() {
        return Err(Failure::Findings(findings));
    }
    if changed > 0 && (arguments.check || arguments.diff) { Err(Failure::No) } else { Ok(()) }
}

/// A file as it is, and as it would be.
fn one(path: &Path) -> Result<(String, String), Findings> {
    let before = load::read(path)?;
    let file: Arc<str> = path.display().to_string().into();
    match yaml::format(&file, &before) {
        Ok(after) => Ok((before, after)),
        Err(yaml::Unformatted::Unreadable(findings)) => Err(findings.quoting(|_| Some(&before))),
        Err(unsure @ yaml::Unformatted::Unsure) => Err(Finding::error(Place::file(&file), unsure.to_string()).into()),
    }
}

/// Puts the text in the place of the file at once, so that no gateway that watches reads half of it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?; // what a link points to, and not the link
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside: PathBuf = path.with_file_name(format!(".{name}.new"));
    fs::write(&beside, text)?;
    fs::set_permissions(&beside, fs::metadata(&path)?.permissions())?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, &path)
}
