use std::sync::Arc;

use proptest::prelude::*;

use super::{compiled, known};
use crate::pattern::{HostPattern, PathPattern, Pattern, Segment};
use crate::{Policy, Route, Source, compile};

/// host, path, methods
type Drawn = (&'static str, String, Vec<&'static str>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let host = prop::sample::select(vec!["a.x", "b.x", "{tenant}.x", "{tenant}.y", "*"]);
    let segment = prop::sample::select(vec!["a", "b", "{p}", "{q}"]);
    let end = prop::sample::select(vec!["", "/", "/**"]);
    let methods = prop::sample::subsequence(vec!["GET", "POST", "PUT"], 0..=2);
    (host, prop::collection::vec(segment, 0..4), end, methods)
        .prop_filter("a parameter has its name once", |(_, segments, ..)| {
            ["{p}", "{q}"].iter().all(|name| segments.iter().filter(|segment| *segment == name).count() < 2)
        })
        .prop_map(|(host, segments, end, methods)| {
            let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            let path = if path.is_empty() && end.is_empty() { "/".to_owned() } else { path + end };
            (host, path, methods)
        })
}

fn text(routes: &[Drawn]) -> String {
    let mut text = "routes:\n".to_owned();
    for (place, (host, path, methods)) in routes.iter().enumerate() {
        let methods = if methods.is_empty() { String::new() } else { format!(", methods: {methods:?}") };
        text.push_str(&format!(
            "- {{ id: r{place}, match: {{ host: {host:?}, path: {path:?}{methods} }}, upstream: orders, auth: none }}\n"
        ));
    }
    text
}

fn matches(pattern: &Pattern, host: &str, path: &str, method: &str) -> bool {
    pattern.host.matches(host).is_some() && pattern.path.matches(path) && pattern.takes(method)
}

/// Tries all routes; of those that match the closest, by the definition.
fn naive<'p>(policy: &'p Policy, host: &str, path: &str, method: &str) -> Option<&'p Arc<Route>> {
    let all = policy.routes().iter().filter(|route| matches(&route.pattern, host, path, method));
    all.max_by_key(|route| route.pattern.specificity())
}

/// Every request that two small patterns could share.
fn requests() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let words = ["", "a", "b", "c"];
    let mut paths: Vec<String> = vec![String::new()];
    for _ in 0..4 {
        let longer: Vec<String> = paths
            .iter()
            .filter(|path| !path.ends_with('/'))
            .flat_map(|path| words.map(|word| format!("{path}/{word}")))
            .collect();
        paths.extend(longer);
    }
    paths.sort();
    paths.dedup();
    paths.retain(|path| !path.is_empty());
    let hosts = ["a.x", "b.x", "c.x", "a.y", "x", "a.b.x"];
    hosts.into_iter().flat_map(move |host| {
        paths
            .clone()
            .into_iter()
            .flat_map(move |path| ["GET", "POST", "BREW"].map(|method| (host, path.clone(), method)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A table that loads has one closest route for every request, and the look-up finds it. One that does not load has
    /// a request with two.
    #[test]
    fn a_lookup_agrees_with_trying_all_routes_and_every_ambiguity_is_found(routes in prop::collection::vec(drawn(), 1..12)) {
        let text = text(&routes);
        match compile(&[Source { path: "p.yaml", text: &text }], &known()) {
            Ok(compiled) => {
                let policy = compiled.policy;
                for (host, path, method) in requests() {
                    let expected = naive(&policy, host, &path, method).map(|route| &route.id);
                    let found = policy.route(host, &path, method);
                    prop_assert_eq!(found.map(|found| &found.route.id), expected, "{} {} {}", method, host, path);
                    let tenant = found.and_then(|found| found.route.pattern.host.matches(host).unwrap());
                    prop_assert_eq!(found.and_then(|found| found.tenant_in_host), tenant);
                    let tied = policy.routes().iter().filter(|route| {
                        matches(&route.pattern, host, &path, method)
                            && Some(route.pattern.specificity()) == found.map(|found| found.route.pattern.specificity())
                    });
                    prop_assert!(tied.count() <= 1, "{} {} {} in\n{}", method, host, path, text);
                }
            }
            Err(findings) => {
                prop_assert!(findings.to_string().lines().all(|line| line.contains("equally closely")), "{}", findings);
                let patterns: Vec<Pattern> = routes.iter().map(|(host, path, methods)| Pattern {
                    host: HostPattern::parse(host).unwrap(),
                    path: PathPattern::parse(path).unwrap(),
                    methods: (!methods.is_empty()).then(|| methods.iter().fold(crate::method::Methods::NONE, |set, method| {
                        set.with(crate::method::Methods::index(method).unwrap())
                    })),
                }).collect();
                let tied = requests().any(|(host, path, method)| {
                    let mut closest: Vec<_> = patterns.iter().filter(|p| matches(p, host, &path, method)).map(Pattern::specificity).collect();
                    let count = closest.len();
                    closest.sort();
                    closest.dedup();
                    closest.len() < count
                }) || same_unlisted(&patterns);
                prop_assert!(tied, "no request has two closest routes in\n{}\n{}", text, findings);
            }
        }
    }
}

/// Two patterns that are the same but for the names of their parameters, and share a method that `requests` leaves out.
fn same_unlisted(patterns: &[Pattern]) -> bool {
    let anonymous = |pattern: &Pattern| {
        let segments = pattern.path.segments.iter().map(|segment| match segment {
            Segment::Literal(word) => Some(Arc::clone(word)),
            Segment::Parameter(_) => None,
        });
        (format!("{}", pattern.host), segments.collect::<Vec<_>>(), pattern.path.rest)
    };
    let shares = |one: &Pattern, two: &Pattern| match (one.methods, two.methods) {
        (Some(one), Some(two)) => one.common(two).next().is_some(),
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
    };
    patterns.iter().enumerate().any(|(place, one)| {
        patterns.iter().skip(place + 1).any(|two| anonymous(one) == anonymous(two) && shares(one, two))
    })
}

#[test]
fn the_closest_route_is_found_and_says_where_the_tenant_is() {
    let policy = compiled(
        r#"
routes:
  - { id: exact, match: { host: api.x, path: "/t/**" }, upstream: orders, auth: none }
  - { id: tenant, match: { host: "{tenant}.x", path: "/t/{tenant}" }, upstream: orders, auth: none }
  - { id: get, match: { host: "{tenant}.x", path: "/t/{tenant}", methods: [GET] }, upstream: orders, auth: none }
  - { id: me, match: { host: "{tenant}.x", path: "/t/me" }, upstream: orders, auth: none }
  - { id: deep, match: { host: "{tenant}.x", path: "/t/me/{x}/z" }, upstream: orders, auth: none }
  - { id: rest, match: { host: "{tenant}.x", path: "/t/**" }, upstream: orders, auth: none }
  - { id: any, match: { host: "*", path: "/**", methods: [PUT] }, upstream: orders, auth: none }
"#,
    )
    .policy;
    for (host, path, method, expected) in [
        ("api.x", "/t/acme", "GET", Some(("exact", None, None))),
        ("api.x", "/u", "PUT", Some(("any", None, None))),
        ("api.x", "/u", "GET", None),
        ("acme.x", "/t/globex", "GET", Some(("get", Some("acme"), Some("globex")))),
        ("acme.x", "/t/globex", "POST", Some(("tenant", Some("acme"), Some("globex")))),
        ("acme.x", "/t/me", "GET", Some(("me", Some("acme"), None))),
        ("acme.x", "/t/me/1/z", "GET", Some(("deep", Some("acme"), None))),
        ("acme.x", "/t/me/1/y", "GET", Some(("rest", Some("acme"), None))),
        ("acme.x", "/t/", "GET", Some(("rest", Some("acme"), None))),
        ("acme.x", "/t", "GET", Some(("rest", Some("acme"), None))),
        ("acme.x", "/T", "GET", None),
        ("a.b.x", "/t", "GET", None),
        (".x", "/t", "GET", None),
        ("x", "/t", "GET", None),
        ("", "/t", "GET", None),
        ("acme.x", "", "PUT", None),
        ("acme.x", "*", "PUT", None),
    ] {
        let found = policy.route(host, path, method);
        let found = found.map(|found| (found.route.id.as_str(), found.tenant_in_host, found.tenant_in_path));
        assert_eq!(found, expected, "{method} {host}{path}");
    }
}
