//! The report for people: one file that needs nothing else, runs nothing, and prints well.

use std::fmt::Write as _;

use super::Report;
use super::summary::{Actor, Counts, Event, Request, Summary};

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<style>
body { font: 11pt/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #bbb }
table { border-collapse: collapse; width: 100%; font-size: .88rem } caption { text-align: left; color: #555 }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #e4e4e4; vertical-align: top }
td.n, th.n { text-align: right } td { overflow-wrap: anywhere } .m { font-family: ui-monospace, monospace; font-size: .82rem }
.good, .bad { border-left: .3rem solid #2a7d3f; padding: .4rem .8rem; background: #f2f8f3 }
.bad { border-color: #b3261e; background: #fbf0ef }
@media print { body { margin: 0; max-width: none; font-size: 9.5pt } thead { display: table-header-group } tr { break-inside: avoid } h2 { break-after: avoid } }
</style>
"#;

/// The whole page. Whatever comes from records is escaped.
pub(super) fn page(report: &Report) -> String {
    let Report { version: _, generated, by, log, logs: _, summary, gateway, integrity } = report;
    let Summary { tenant, from, to, .. } = summary;
    let mut page = HEAD.to_owned();
    put(&mut page, format_args!("<title>Audit report: {}</title></head><body>\n", text(tenant)));
    put(&mut page, format_args!("<h1>Audit report: {}</h1>\n", text(tenant)));
    put(
        &mut page,
        format_args!(
            "<p>From {} to before {} (UTC). Made {} by {} from the log {}.</p>\n",
            text(from),
            text(to),
            text(generated),
            text(by),
            text(log)
        ),
    );
    let class = if integrity.shown { "good" } else { "bad" };
    put(&mut page, format_args!("<h2>Integrity</h2>\n<div class=\"{class}\">\n"));
    for line in &integrity.statement {
        put(&mut page, format_args!("<p>{}</p>\n", text(line)));
    }
    for key in &integrity.signed_by {
        put(&mut page, format_args!("<p class=\"m\">{}</p>\n", text(key)));
    }
    page.push_str("</div>\n<p>README.txt beside this file says how to check all of that without trusting us.</p>\n");
    put(
        &mut page,
        format_args!(
            "<h2>Requests</h2>\n<p>{} requests: {} allowed, {} denied.</p>\n",
            summary.requests, summary.allowed, summary.denied
        ),
    );
    counts(&mut page, "reason", &summary.by_reason);
    routes(&mut page, summary);
    counts(&mut page, "status", &summary.by_status);
    actors(&mut page, summary);
    requests(&mut page, "Denials", summary.denied, &summary.denials);
    requests(&mut page, "Interruptions", summary.interruptions_in_all, &summary.interruptions);
    events(&mut page, summary);
    put(
        &mut page,
        format_args!(
            "<h2>Gaps</h2>\n<p>Missing in the chain of this tenant's records: {}. In this span the log says {} times that \
         something could not be recorded ({} requests, of all tenants together), and gateways began with it {} times.</p>\n",
            summary.chain.broken_at.len(),
            gateway.gaps,
            gateway.unrecorded,
            gateway.starts
        ),
    );
    page.push_str("</body></html>\n");
    page
}

fn put(page: &mut String, what: std::fmt::Arguments<'_>) {
    let _never_fails = page.write_fmt(what);
}

fn text(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

fn head(page: &mut String, columns: &[&str]) {
    page.push_str("<table><thead><tr>");
    for column in columns {
        put(page, format_args!("<th>{column}</th>"));
    }
    page.push_str("</tr></thead><tbody>\n");
}

fn row(page: &mut String, cells: &[&str]) {
    page.push_str("<tr>");
    for cell in cells {
        put(page, format_args!("<td>{}</td>", text(cell)));
    }
    page.push_str("</tr>\n");
}

fn counts(page: &mut String, what: &str, counts: &std::collections::BTreeMap<String, u64>) {
    put(page, format_args!("<h2>By {what}</h2>\n"));
    head(page, &[what, "requests"]);
    counts.iter().for_each(|(name, count)| row(page, &[name.as_str(), &count.to_string()]));
    page.push_str("</tbody></table>\n");
}

fn routes(page: &mut String, summary: &Summary) {
    page.push_str("<h2>By route</h2>\n");
    head(page, &["route", "allowed", "denied"]);
    for (route, Counts { allowed, denied }) in &summary.by_route {
        row(page, &[route.as_str(), &allowed.to_string(), &denied.to_string()]);
    }
    page.push_str("</tbody></table>\n");
}

fn actors(page: &mut String, summary: &Summary) {
    let all = summary.actors_in_all;
    put(page, format_args!("<h2>Actors</h2>\n<p>{all} in all, of which those with the most requests:</p>\n"));
    head(page, &["actor, as the records hide it", "issuer", "requests", "denied"]);
    for Actor { sub, iss, requests, denied } in &summary.actors {
        row(page, &[sub.as_str(), iss, &requests.to_string(), &denied.to_string()]);
    }
    page.push_str("</tbody></table>\n");
}

fn requests(page: &mut String, what: &str, all: u64, listed: &[Request]) {
    put(page, format_args!("<h2>{what}</h2>\n<p>{all} in all, of which the latest {}:</p>\n", listed.len()));
    head(page, &["time", "reason", "route", "status", "end", "actor", "request"]);
    for Request { time, id, sub, route, reason, status, end } in listed {
        let status = status.map_or_else(String::new, |status| status.to_string());
        let plain = |text: &Option<String>| text.clone().unwrap_or_default();
        row(page, &[time.as_str(), reason, &plain(route), &status, &plain(end), &plain(sub), id]);
    }
    page.push_str("</tbody></table>\n");
}

fn events(page: &mut String, summary: &Summary) {
    let (all, listed) = (summary.events_in_all, summary.events.len());
    put(
        page,
        format_args!("<h2>API keys, tokens and readings</h2>\n<p>{all} in all, of which the latest {listed}:</p>\n"),
    );
    head(page, &["time", "what", "which", "by"]);
    for Event { time, kind, what, by } in &summary.events {
        row(page, &[time.as_str(), kind, what, by.as_deref().unwrap_or_default()]);
    }
    page.push_str("</tbody></table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_record_says_becomes_a_part_of_the_page() {
        assert_eq!(text("<script>\"'&\u{1b}x"), "&lt;script&gt;&quot;&#39;&amp;\u{fffd}x");
    }
}
