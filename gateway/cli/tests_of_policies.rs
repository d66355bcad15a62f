//! `cloister test`: the tests that stand in the policy files.

use policy::{CaseResult, Coverage};
use serde_json::json;

use crate::args::{Test, TestFormat};
use crate::failure::Failure;
use crate::load;
use crate::print::{self, Style};

/// Runs the tests in the policy files, and shows each.
pub(crate) fn run(arguments: &Test) -> Result<(), Failure> {
    let Test { files, coverage: list, min_coverage, format } = arguments;
    let (_, known) = load::config(&files.config)?;
    let texts = load::texts(&files.policies)?;
    let compiled = load::compile_untested(&texts, &known)?;
    let (results, coverage) = (compiled.policy.run_cases(), compiled.policy.coverage());
    match format {
        TestFormat::Json => print::line(as_json(&results, &coverage)),
        TestFormat::Junit => print::line(as_junit(&results)),
        TestFormat::Text => {
            show(&results);
            show_coverage(&coverage, *list);
        }
    }
    let enough = min_coverage.is_none_or(|least| coverage.percent() >= usize::from(least));
    if !enough && *format == TestFormat::Text {
        print::line(Style::stdout().bad("the tests come to less than --min-coverage asks for"));
    }
    if results.iter().all(|case| case.passed) && enough { Ok(()) } else { Err(Failure::No) }
}

fn show(results: &[CaseResult]) {
    let style = Style::stdout();
    let rows = results.iter().map(|case| {
        let outcome = if case.passed { case.got.clone() } else { format!("{}, expected {}", case.got, case.expected) };
        let word = if case.passed { "ok" } else { "FAILED" };
        vec![word.to_owned(), case.place.to_string(), case.title.clone(), outcome]
    });
    for (line, case) in print::table(&rows.collect::<Vec<_>>()).into_iter().zip(results) {
        print::line(if case.passed { line } else { style.bad(&line) });
    }
    let failed = results.iter().filter(|case| !case.passed).count();
    print::line(format_args!("{} passed, {failed} failed", results.len() - failed));
}

fn show_coverage(coverage: &Coverage, list: bool) {
    if list {
        for (route, place, _) in coverage.routes.iter().filter(|(.., seen)| !seen) {
            print::line(format_args!("no test  {place}  route {route}"));
        }
        for (rule, _) in coverage.rules.iter().filter(|(_, seen)| !seen) {
            print::line(format_args!("no test  {rule}"));
        }
    }
    let seen = |seen: usize, all: usize| format!("{seen} of {all}");
    let routes = seen(coverage.routes.iter().filter(|(.., seen)| *seen).count(), coverage.routes.len());
    let rules = seen(coverage.rules.iter().filter(|(_, seen)| *seen).count(), coverage.rules.len());
    let hint = if list || coverage.percent() == 100 { "" } else { " (--coverage lists the others)" };
    print::line(format_args!("tests come to {routes} routes, {rules} rules: {} %{hint}", coverage.percent()));
}

fn as_json(results: &[CaseResult], coverage: &Coverage) -> serde_json::Value {
    let cases: Vec<_> = results
        .iter()
        .map(|case| {
            json!({ "place": case.place.to_string(), "title": case.title, "passed": case.passed,
                    "expected": case.expected, "got": case.got })
        })
        .collect();
    let failed = results.iter().filter(|case| !case.passed).count();
    let routes = coverage.routes.iter().filter(|(.., seen)| !seen).map(|(route, ..)| route.as_str());
    let rules = coverage.rules.iter().filter(|(_, seen)| !seen).map(|(rule, _)| rule.as_str());
    let (all, seen) = coverage.counts();
    json!({ "passed": results.len() - failed, "failed": failed, "cases": cases,
            "coverage": { "percent": coverage.percent(), "of": all, "seen": seen,
                          "routes_without": routes.collect::<Vec<_>>(), "rules_without": rules.collect::<Vec<_>>() } })
}

/// As pipelines read it: one suite, a case for each test.
fn as_junit(results: &[CaseResult]) -> String {
    let failed = results.iter().filter(|case| !case.passed).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"policies\" tests=\"{}\" failures=\"{failed}\">\n",
        results.len()
    );
    for CaseResult { place, title, passed, expected, got } in results {
        let (file, title) = (escaped(&place.file), escaped(title));
        let head = format!("<testcase classname=\"{file}\" name=\"{title}\" file=\"{file}\" line=\"{}\"", place.line);
        xml.push_str(&head);
        if *passed {
            xml.push_str("/>\n");
        } else {
            let message = escaped(&format!("expected {expected}, got {got}"));
            xml.push_str(&format!("><failure message=\"{message}\"/></testcase>\n"));
        }
    }
    xml.push_str("</testsuite>\n</testsuites>");
    xml
}

/// Text as it stands in an attribute (XML 1.0 §2.4). Characters that no XML can hold are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pipelines_read_is_xml_whatever_a_test_is_called() {
        let place = terms::Place::file("p.yaml");
        let case = |passed| CaseResult {
            place: place.clone(),
            title: "a <b> & \"c\"\u{1}".to_owned(),
            passed,
            expected: "allow".to_owned(),
            got: "deny policy.denied".to_owned(),
        };
        let xml = as_junit(&[case(true), case(false)]);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\""), "{xml}");
        assert!(xml.contains("<failure message=\"expected allow, got deny policy.denied\"/>"), "{xml}");
    }
}
