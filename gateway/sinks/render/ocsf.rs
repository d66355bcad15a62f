//! OCSF 1.8.0. Exactly one class for each record, so that nobody counts a request twice; what has no place of its own there
//! goes to `unmapped.cloister`, so that nothing of the record is left out.

use super::Source;
use super::event::{About, Event, Outcome, Severity};
use super::json::{Json, quoted};
use crate::record::Fields;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The largest whole number that OCSF's `integer_t` is sure to hold.
const LARGEST: u64 = 0x7fff_ffff;
/// What every event has a place for.
const COMMON: [&str; 4] = ["v", "time", "instance", "tenant"];
const OF_REQUESTS: [&str; 15] = [
    "id", "sub", "iss", "key", "ip", "host", "proto", "route", "rule", "policy", "upstream", "decision", "reason",
    "status", "ms",
];
const METHODS: [(&str, u8); 9] = [
    ("\"GET\"", 2),
    ("\"POST\"", 1),
    ("\"PUT\"", 3),
    ("\"PATCH\"", 3),
    ("\"DELETE\"", 4),
    ("\"HEAD\"", 2),
    ("\"OPTIONS\"", 99),
    ("\"CONNECT\"", 99),
    ("\"TRACE\"", 99),
];

pub(super) fn render(source: &Source<'_>, fields: Option<&Fields<'_>>) -> String {
    let mut json = Json::new();
    let Some(fields) = fields else {
        unreadable(&mut json, source);
        return json.end();
    };
    let event = Event::of(fields);
    let has_trace = event.about == About::Request && fields.raw("trace").is_some();
    let profiles = if has_trace { r#"["host","security_control","trace"]"# } else { r#"["host","security_control"]"# };
    // What a backend says is never taken for what we have seen.
    let provider = fields.raw("backend").filter(|_| event.about == About::Told).unwrap_or("\"cloister\"");
    metadata(&mut json, source, profiles, provider, |json| {
        json.raw("event_code", &quoted(&event.code));
        json.some("tenant_uid", fields.raw("tenant"));
        json.some("correlation_uid", fields.raw("id"));
        json.some("original_time", fields.raw("time"));
    });
    json.number("time", fields.millis().unwrap_or(0));
    json.number("severity_id", event.severity as u64);
    let (status_id, status) = match event.outcome {
        Outcome::Failure => (2, "Failure"),
        Outcome::Pending => (99, "Pending"),
        Outcome::Success => (1, "Success"),
    };
    json.number("status_id", status_id);
    json.word("status", status);
    json.object("device", |json| {
        json.number("type_id", 99);
        json.word("type", "Gateway");
        json.raw("uid", fields.raw("instance").unwrap_or("\"unknown\""));
    });
    let mut placed = Vec::with_capacity(32);
    placed.extend(COMMON);
    match event.about {
        About::Entity => entity(&mut json, fields, &event, &mut placed),
        About::Life => life(&mut json, fields, &event, &mut placed),
        About::Login => login(&mut json, fields, &event, &mut placed),
        About::Request => request(&mut json, fields, &event, &mut placed),
        About::Told => told(&mut json, fields, &mut placed),
    }
    json.object("unmapped", |json| {
        json.object("cloister", |json| {
            at(json, source);
            for (name, value) in fields.iter().filter(|(name, _)| !placed.contains(name)) {
                json.raw(name, value);
            }
        });
    });
    json.end()
}

fn metadata(json: &mut Json, source: &Source<'_>, profiles: &str, provider: &str, more: impl FnOnce(&mut Json)) {
    json.object("metadata", |json| {
        json.word("version", "1.8.0");
        json.raw("profiles", profiles);
        json.object("product", product);
        json.shown("uid", format_args!("{}:{}", source.log, source.index));
        json.shown("log_name", source.log);
        json.raw("log_provider", provider);
        json.word("log_version", "1");
        more(json);
    });
}

fn product(json: &mut Json) {
    json.word("name", "Cloister");
    json.word("vendor_name", "Cloister");
    json.word("version", VERSION);
}

fn at(json: &mut Json, source: &Source<'_>) {
    json.shown("log_id", source.log);
    json.number("leaf_index", source.index);
    json.shown("leaf_hash", source.leaf);
}

fn class(json: &mut Json, class: u64, activity: u64) {
    json.number("category_uid", class / 1000);
    json.number("class_uid", class);
    json.number("activity_id", activity);
    json.number("type_uid", class * 100 + activity);
}

/// What cannot be read is told as it is, under the class that says nothing more.
fn unreadable(json: &mut Json, source: &Source<'_>) {
    metadata(json, source, "[]", "\"cloister\"", |json| json.word("event_code", "record.unreadable"));
    class(json, 0, 0);
    json.number("time", 0);
    json.number("severity_id", Severity::High as u64);
    json.raw("raw_data", &quoted(&String::from_utf8_lossy(source.json)));
    json.object("unmapped", |json| json.object("cloister", |json| at(json, source)));
}

/// What requests and logins have in common.
fn http(json: &mut Json, fields: &Fields<'_>, event: &Event<'_>, placed: &mut Vec<&str>) {
    placed.extend(OF_REQUESTS);
    let number = |name| fields.number(name).filter(|number| *number <= LARGEST);
    let status = fields.raw("status");
    if let Some(status) = status {
        json.word("status_code", status);
    }
    json.raw("status_detail", &quoted(&event.code));
    json.some("duration", fields.raw("ms"));
    let method = fields.raw("method").filter(|method| METHODS.iter().any(|(known, _)| known == method));
    let (sent, got) = (number("in"), number("out"));
    placed.extend(method.and(Some("method")));
    placed.extend(sent.and(Some("in")));
    placed.extend(got.filter(|_| status.is_some()).and(Some("out")));
    json.object("http_request", |json| {
        json.some("http_method", method);
        json.some("version", fields.raw("proto"));
        json.some("uid", fields.raw("id"));
        if let Some(bytes) = sent {
            json.number("body_length", bytes);
        }
    });
    if let Some(status) = status {
        json.object("http_response", |json| {
            json.raw("code", status);
            if let Some(bytes) = got {
                json.number("body_length", bytes);
            }
        });
    }
    json.object("src_endpoint", |json| match fields.raw("ip") {
        Some(network) => {
            let address = inner(network).split('/').next().unwrap_or_default();
            json.word("ip", address);
            json.raw("name", network);
        }
        None => json.word("name", "unknown"),
    });
    if let Some(name) = fields.raw("host").or(fields.raw("upstream")) {
        json.object("dst_endpoint", |json| {
            json.raw("name", name);
            json.some("svc_name", fields.raw("upstream"));
        });
    }
    let is_denied = fields.raw("decision") == Some("\"deny\"");
    json.number("action_id", if is_denied { 2 } else { 1 });
    json.number("disposition_id", disposition(&event.code, is_denied, event.outcome));
    json.raw("is_alert", if event.severity >= Severity::High { "true" } else { "false" });
    policy(json, fields);
}

fn policy(json: &mut Json, fields: &Fields<'_>) {
    let (rule, version) = (fields.raw("rule"), fields.raw("policy"));
    if rule.or(version).is_some() {
        json.object("policy", |json| {
            json.raw("name", rule.unwrap_or("\"policies\""));
            json.some("version", version);
            let in_shadow = fields.raw("mode").is_some(); // it has only been looked at
            json.raw("is_applied", if in_shadow { "false" } else { "true" });
        });
    }
}

/// A text that is JSON, without its quotes.
fn inner(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or("-")
}

fn disposition(code: &str, is_denied: bool, outcome: Outcome) -> u64 {
    const ALLOWED: u64 = 1;
    const BLOCKED: u64 = 2;
    const REJECTED: u64 = 25;
    const UNAUTHORIZED: u64 = 26;
    const ERROR: u64 = 27;
    if code.ends_with(".unavailable") || code.ends_with(".error") || code == "internal" || code.starts_with("upstream.")
    {
        return ERROR;
    }
    match code.split('.').next().unwrap_or_default() {
        _ if !is_denied => {
            if outcome == Outcome::Failure {
                ERROR
            } else {
                ALLOWED
            }
        }
        "auth" | "policy" | "tenant" => UNAUTHORIZED,
        "request" => REJECTED,
        _ => BLOCKED,
    }
}

fn user(json: &mut Json, fields: &Fields<'_>) {
    match fields.raw("sub").or(fields.raw("key")) {
        Some(uid) => json.raw("uid", uid),
        None => json.word("name", "unknown"),
    }
    json.number("type_id", if fields.raw("key").is_some() { 4 } else { u64::from(fields.raw("sub").is_some()) });
    json.some("credential_uid", fields.raw("key"));
    if let Some(tenant) = fields.raw("tenant") {
        json.object("org", |json| json.raw("uid", tenant));
    }
}

fn request(json: &mut Json, fields: &Fields<'_>, event: &Event<'_>, placed: &mut Vec<&str>) {
    let method = fields.raw("method").unwrap_or("\"-\"");
    let verb = METHODS.iter().find(|(known, _)| *known == method).map_or(99, |(_, activity)| *activity);
    if event.outcome == Outcome::Pending {
        // Counted by its final record alone.
        class(json, 6003, 99);
        json.raw("activity_name", fields.raw("stage").unwrap_or("\"unknown\""));
    } else {
        class(json, 6003, u64::from(verb));
        if verb == 99 {
            json.raw("activity_name", method);
        }
    }
    http(json, fields, event, placed);
    placed.push("trace");
    json.object("actor", |json| {
        if fields.raw("sub").or(fields.raw("key")).is_some() {
            json.object("user", |json| user(json, fields));
        } else {
            json.word("app_name", "unknown");
        }
        if let Some(issuer) = fields.raw("iss") {
            json.object("idp", |json| json.raw("name", issuer));
        }
        if let Some(decision) = fields.raw("decision") {
            json.list("authorizations", |json| {
                json.raw("decision", decision);
                policy(json, fields);
            });
        }
    });
    let route = fields.raw("route");
    json.object("api", |json| {
        // Both are JSON without their quotes, and so is what they make together.
        let (method, route) = (inner(method), route.map_or("-", inner));
        json.shown("operation", format_args!("{method} {route}"));
        if let Some(upstream) = fields.raw("upstream") {
            json.object("service", |json| json.raw("name", upstream));
        }
        if let Some(id) = fields.raw("id") {
            json.object("request", |json| json.raw("uid", id));
        }
        if let Some(status) = fields.raw("status") {
            json.object("response", |json| {
                json.raw("code", status);
                if event.outcome == Outcome::Failure {
                    json.raw("error", &quoted(&event.code));
                }
            });
        }
    });
    if let Some(route) = route {
        json.list("resources", |json| {
            json.raw("name", route);
            json.word("type", "route");
            json.number("role_id", 1);
        });
    }
    if let Some(trace) = fields.raw("trace") {
        json.object("trace", |json| json.raw("uid", trace));
    }
}

fn login(json: &mut Json, fields: &Fields<'_>, event: &Event<'_>, placed: &mut Vec<&str>) {
    class(json, 3002, 1);
    http(json, fields, event, placed);
    json.object("user", |json| user(json, fields));
    json.object("service", |json| {
        json.raw("name", fields.raw("upstream").or(fields.raw("route")).unwrap_or("\"cloister\""));
    });
    if let Some(issuer) = fields.raw("iss") {
        json.object("session", |json| json.raw("issuer", issuer));
    }
    json.raw("is_remote", "true");
    // The class has no place for them beside the service.
    placed.retain(|name| !matches!(*name, "route" | "decision"));
}

fn entity(json: &mut Json, fields: &Fields<'_>, event: &Event<'_>, placed: &mut Vec<&str>) {
    let (what, verb) = event.code.rsplit_once('.').unwrap_or((&event.code, "changed"));
    let activity = match (what, verb) {
        (_, "created") => 1,
        (_, "changed" | "refused" | "rotated") => 3,
        ("tokens", "revoked") => 9,
        (_, "restored") => 8,
        (_, "revoked" | "erased" | "deleted") => 4,
        _ => 99,
    };
    class(json, 3004, activity);
    if activity == 99 {
        json.raw("activity_name", &quoted(verb));
    }
    json.some("status_detail", fields.raw("why"));
    json.object("entity", |json| {
        json.raw("name", &quoted(what));
        json.raw("type", &quoted(what));
        json.number("type_id", if what == "policy" { 5 } else { 99 });
        json.some("uid", fields.raw("key").or(fields.raw("setting")).or(fields.raw("sub")).or(fields.raw("iss")));
        json.some("version", fields.raw("new"));
    });
    author(json, fields);
    placed.extend(["kind", "why"]);
}

fn life(json: &mut Json, fields: &Fields<'_>, event: &Event<'_>, placed: &mut Vec<&str>) {
    let activity = match &*event.code {
        "log.opened" => 3,
        "log.closed" => 4,
        "log.recovered" => 5,
        _ => 99,
    };
    class(json, 6002, activity);
    if activity == 99 {
        json.raw("activity_name", &quoted(&event.code));
    }
    json.some("status_detail", fields.raw("why"));
    json.object("app", product);
    author(json, fields);
    placed.extend(["kind", "why"]);
}

fn told(json: &mut Json, fields: &Fields<'_>, placed: &mut Vec<&str>) {
    let (action, backend) =
        (fields.raw("action").unwrap_or("\"unknown\""), fields.raw("backend").unwrap_or("\"unknown\""));
    class(json, 6003, 99);
    json.raw("activity_name", action);
    json.object("actor", |json| {
        if fields.raw("sub").is_some() {
            json.object("user", |json| user(json, fields));
        } else {
            json.raw("app_name", backend);
        }
        if let Some(issuer) = fields.raw("iss") {
            json.object("idp", |json| json.raw("name", issuer));
        }
    });
    json.object("api", |json| {
        json.raw("operation", action);
        json.object("service", |json| json.raw("name", backend));
        if let Some(id) = fields.raw("event") {
            json.object("request", |json| json.raw("uid", id));
        }
    });
    json.object("src_endpoint", |json| json.raw("name", backend));
    if let Some(resource) = fields.raw("resource") {
        json.list("resources", |json| {
            json.raw("name", resource);
            json.number("role_id", 1);
        });
    }
    placed.extend(["kind", "event", "sub", "iss", "backend", "action", "resource", "outcome"]);
}

fn author(json: &mut Json, fields: &Fields<'_>) {
    json.object("actor", |json| match fields.raw("by") {
        Some(by) => json.object("user", |json| {
            json.raw("name", by);
            if let Some(uid) = fields.number("uid") {
                json.shown("uid", uid);
            }
        }),
        None => json.word("app_name", "Cloister"),
    });
}
