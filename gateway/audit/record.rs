use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use terms::{Author, ClassName, RoleName};

use crate::line::Line;
use crate::{
    Cause, Entry, Files, Glass, KeyChange, KeyOf, KeyTurn, LogUse, Note, Outcome, PERSONAL_MAX, Personal,
    PersonsChange, Sender, Shadow, TokensOf, Turn,
};

/// The JSON Schema of every record that the log holds: requests (`stage`) and the log's own (`kind`).
#[must_use]
pub const fn record_schema() -> &'static str {
    include_str!("record.schema.json")
}

/// The longest request record up to its reason, in bytes.
pub(crate) const PREFIX_MAX: usize = 1768;
/// The longest rest of a request record, in bytes.
pub(crate) const SUFFIX_MAX: usize = 256;

/// The longest list of roles in a record, in bytes.
const ROLES_MAX: usize = 400;
/// What comes after the roles in the prefix takes less, in bytes.
const DECISION_MAX: usize = 128;

pub(crate) const INTERRUPTED: &str = ",\"end\":\"interrupted\"}";
pub(crate) const ABANDONED: &str = ",\"end\":\"abandoned\"}";
pub(crate) const SHUTDOWN: &str = ",\"end\":\"shutdown\"}";

/// Which of a request's records this is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// The decision, before the request is forwarded: only where a route asks for it.
    Decided,
    /// The one record that every request has.
    Final,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Final => "final",
        }
    }
}

/// Writes what is known of a request, the reason last, the object left open. Answers where the reason begins, so that a
/// later reason can take its place.
pub(crate) fn prefix(line: &mut Line, instance: &str, stage: Stage, entry: &Entry<'_>) -> usize {
    line.raw("{\"v\":1");
    line.hex(r#","id":""#, entry.id.as_u128(), 32);
    line.time(r#","time":""#, entry.at);
    line.word(r#","stage":""#, stage.as_str());
    line.word(r#","instance":""#, instance);
    if let Some(tenant) = entry.tenant {
        line.word(r#","tenant":""#, tenant.as_str());
    }
    if let Some(subject) = &entry.subject {
        line.word(r#","sub":""#, subject.as_str());
    }
    if let Some(issuer) = entry.issuer {
        line.word(r#","iss":""#, issuer.as_str());
    }
    if let Some(key) = entry.key {
        line.text(r#","key":""#, key, 12);
    }
    if let Some(client) = entry.client {
        network(line, client);
    }
    if let Some(method) = entry.method {
        line.text(r#","method":""#, method, 32);
    }
    if let Some(host) = entry.host {
        line.text(r#","host":""#, host, 255);
    }
    if let Some(protocol) = entry.protocol {
        line.word(r#","proto":""#, protocol.as_str());
    }
    if let Some(route) = entry.route {
        line.word(r#","route":""#, route.as_str());
    }
    if let Some(rule) = entry.rule {
        line.text(r#","rule":""#, rule, 96);
    }
    if let Some(limit) = entry.limit {
        line.word(r#","limit":""#, limit.as_str());
    }
    if let Some(done) = entry.limit_store {
        line.word(r#","limit_store":""#, done.as_str());
    }
    if let Some(policy) = entry.policy {
        line.hex(r#","policy":""#, u128::from(policy.as_u64()), 16);
    }
    if let Some(upstream) = entry.upstream {
        line.word(r#","upstream":""#, upstream.as_str());
    }
    if let Some(deciding) = entry.deciding {
        line.number(r#","us":"#, u64::try_from(deciding.as_micros()).unwrap_or(u64::MAX));
    }
    if let Some(trace) = entry.trace {
        line.hex(r#","trace":""#, trace, 32);
    }
    if let Some(personal) = &entry.personal {
        self::personal(line, personal);
    }
    if let Some(Shadow { would }) = entry.shadow {
        line.raw(r#","mode":"shadow""#);
        if let Some(would) = would {
            line.word(r#","would":""#, would.as_str());
        }
    }
    if entry.glass == Glass::Broken {
        line.raw(r#","break_glass":true"#);
    }
    if let Some(roles) = entry.roles {
        self::roles(line, roles);
    }
    line.word(r#","decision":""#, entry.decision.as_str());
    let reason = line.len();
    line.word(r#","reason":""#, entry.reason.as_str());
    reason
}

/// With spaces between: a name has none. All of them or none: who reads some of them would take them for all.
fn roles(line: &mut Line, roles: &[RoleName]) {
    let length = roles.iter().map(|role| role.as_str().len() + 1).sum::<usize>();
    if length > ROLES_MAX || line.len() + length > PREFIX_MAX - DECISION_MAX {
        return;
    }
    line.raw(r#","roles":""#);
    for (at, role) in roles.iter().enumerate() {
        line.raw(if at == 0 { "" } else { " " });
        line.raw(role.as_str());
    }
    line.raw("\"");
}

/// Where the stage of a request's record stands: the fields before it have fixed lengths.
const STAGE: usize = r#"{"v":1,"id":""#.len() + 32 + r#"","time":""#.len() + 24 + r#"","#.len();
const FINAL: &[u8] = br#""stage":"final""#;

/// Whether this is the final record of a request.
pub(crate) fn is_final(record: &[u8]) -> bool {
    record.starts_with(br#"{"v":1,"id":""#) && record.get(STAGE..STAGE + FINAL.len()) == Some(FINAL)
}

/// Makes of the beginning of a final record, as it stands in `line`, the whole record of a request that has begun to flow.
/// Answers whether it was one.
pub(crate) fn opened(line: &mut Line, status: Option<u16>) -> bool {
    let place = STAGE..STAGE + FINAL.len();
    if line.as_bytes().get(place.clone()) != Some(FINAL) {
        return false;
    }
    line.bytes_mut().splice(place, *br#""stage":"opened""#);
    if let Some(status) = status {
        line.number(r#","status":"#, u64::from(status));
    }
    line.raw("}");
    true
}

/// Writes how a request went on, and closes the object.
pub(crate) fn suffix(line: &mut Line, outcome: &Outcome) {
    if let Some(reason) = outcome.reason {
        line.word(r#","reason":""#, reason.as_str());
    }
    if let Some(status) = outcome.status {
        line.number(r#","status":"#, u64::from(status));
    }
    if outcome.attempts > 0 {
        line.number(r#","attempts":"#, u64::from(outcome.attempts));
    }
    line.number(r#","in":"#, outcome.bytes_in);
    line.number(r#","out":"#, outcome.bytes_out);
    line.number(r#","ms":"#, u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX));
    if let Some(echo) = outcome.echo {
        line.word(r#","echo":""#, echo.as_str());
    }
    line.word(r#","end":""#, outcome.end.as_str());
    line.raw("}");
}

/// Begins one of the log's own records.
pub(crate) fn own(line: &mut Line, kind: &'static str, at: SystemTime, instance: &str) {
    line.clear();
    line.raw("{\"v\":1");
    line.word(r#","kind":""#, kind);
    line.time(r#","time":""#, at);
    line.word(r#","instance":""#, instance);
}

pub(crate) fn note(line: &mut Line, note: &Note<'_>, at: SystemTime, instance: &str) {
    match *note {
        Note::ApiKey(KeyChange { turn, key, replaces, tenant, roles, expires, by, done }) => {
            let kind = match turn {
                KeyTurn::Created => "api_key.created",
                KeyTurn::Revoked => "api_key.revoked",
                KeyTurn::Rotated => "api_key.rotated",
            };
            own(line, kind, at, instance);
            line.text(r#","key":""#, key, 32);
            if let Some(replaces) = replaces {
                line.text(r#","replaces":""#, replaces, 32);
            }
            line.word(r#","tenant":""#, tenant.as_str());
            line.text(r#","roles":""#, roles, 400);
            if let Some(expires) = expires {
                line.number(r#","expires":"#, expires);
            }
            author(line, Some(by));
            line.number(r#","done":"#, done);
        }
        Note::Changed { what, old, new, version, by } => {
            let kind = match what {
                Files::Config => "config.changed",
                Files::Keys => "keys.changed",
                Files::Policy => "policy.changed",
            };
            own(line, kind, at, instance);
            if let Some(old) = old {
                line.hex(r#","old":""#, u128::from(old.as_u64()), 16);
            }
            line.hex(r#","new":""#, u128::from(new.as_u64()), 16);
            if let Some(version) = version {
                line.number(r#","version":"#, version);
            }
            cause(line, by);
        }
        Note::Clock { before, done, why, by } => {
            own(line, "clock.accepted", at, instance);
            line.number(r#","before":"#, before);
            line.text(r#","why":""#, why, 400);
            author(line, Some(by));
            line.number(r#","done":"#, done);
        }
        Note::Event(ref event) => {
            own(line, "event", at, instance);
            crate::event::put(line, event);
        }
        Note::KeyRetired { old, new, checkpoint } => {
            own(line, "key.retired", at, instance);
            line.word(r#","of":""#, KeyOf::Log.as_str());
            line.text(r#","old_key":""#, old, KEY_MAX);
            line.text(r#","new_key":""#, new, KEY_MAX);
            line.text(r#","checkpoint":""#, checkpoint, CHECKPOINT_MAX);
        }
        Note::KeyRotated { of, old, new, by } => {
            own(line, "key.rotated", at, instance);
            line.word(r#","of":""#, of.as_str());
            if let Some(old) = old {
                line.text(r#","old_key":""#, old, KEY_MAX);
            }
            line.text(r#","new_key":""#, new, KEY_MAX);
            cause(line, by);
        }
        Note::Persons(PersonsChange { kind, tenant, subject, key, count, hold, sha256, why, reference, by, done }) => {
            own(line, kind, at, instance);
            if let Some(tenant) = tenant {
                line.word(r#","tenant":""#, tenant.as_str());
            }
            if let Some(subject) = subject {
                line.word(r#","sub":""#, subject.as_str());
            }
            if let Some(key) = key {
                line.text(r#","dek":""#, key, 8);
            }
            if let Some(count) = count {
                line.number(r#","count":"#, count);
            }
            if let Some(hold) = hold {
                line.number(r#","hold":"#, hold);
            }
            if let Some(sha256) = sha256 {
                line.text(r#","sha256":""#, sha256, 64);
            }
            line.text(r#","why":""#, why, 400);
            if let Some(reference) = reference {
                line.text(r#","ref":""#, reference, 200);
            }
            author(line, Some(by));
            line.number(r#","done":"#, done);
        }
        Note::Read(used) => log_use(line, "audit.read", used, at, instance),
        Note::Reported(used) => log_use(line, "report.generated", used, at, instance),
        Note::Pruned { gone, size, root, keep } => {
            own(line, "log.pruned", at, instance);
            line.number(r#","first":"#, gone.minimum);
            line.number(r#","records":"#, gone.records);
            line.number(r#","bytes":"#, gone.bytes);
            line.number(r#","size":"#, size);
            line.text(r#","root":""#, root, 64);
            line.number(r#","keep":"#, keep);
        }
        Note::Retention { tenant, old, new, by } => {
            own(line, "retention.changed", at, instance);
            line.word(r#","tenant":""#, tenant.as_str());
            line.text(r#","old_class":""#, old, ClassName::MAX);
            line.text(r#","new_class":""#, new, ClassName::MAX);
            cause(line, by);
        }
        Note::Rechecked { records, readings, found, why, by } => {
            own(line, "log.rechecked", at, instance);
            line.number(r#","records":"#, records);
            line.number(r#","count":"#, readings);
            line.number(r#","found":"#, found);
            line.text(r#","why":""#, why, 400);
            cause(line, by);
        }
        Note::Refused { what, old, why, by } => {
            let kind = match what {
                Files::Config => "config.refused",
                Files::Keys => "keys.refused",
                Files::Policy => "policy.refused",
            };
            own(line, kind, at, instance);
            if let Some(old) = old {
                line.hex(r#","old":""#, u128::from(old.as_u64()), 16);
            }
            line.text(r#","why":""#, why, 400);
            cause(line, by);
        }
        Note::Secret { setting, refused, by } => {
            own(line, if refused.is_some() { "secret.refused" } else { "secret.changed" }, at, instance);
            line.text(r#","setting":""#, setting, 200);
            if let Some(why) = refused {
                line.text(r#","why":""#, why, 400);
            }
            cause(line, by);
        }
        Note::Tokens { turn, of, before, by } => {
            let kind = match turn {
                Turn::Restored => "tokens.restored",
                Turn::Revoked => "tokens.revoked",
            };
            own(line, kind, at, instance);
            let (what, issuer) = match of {
                TokensOf::Issuer(issuer) => ("issuer", Some(issuer)),
                TokensOf::Session(issuer) => ("session", Some(issuer)),
                TokensOf::Subject(issuer, _) => ("subject", Some(issuer)),
                TokensOf::Tenant(_) => ("tenant", None),
                TokensOf::Token(issuer) => ("token", Some(issuer)),
            };
            line.word(r#","of":""#, what);
            if let Some(issuer) = issuer {
                line.word(r#","iss":""#, issuer.as_str());
            }
            match of {
                TokensOf::Subject(_, subject) => line.word(r#","sub":""#, subject.as_str()),
                TokensOf::Tenant(tenant) => line.word(r#","tenant":""#, tenant.as_str()),
                TokensOf::Issuer(_) | TokensOf::Session(_) | TokensOf::Token(_) => {}
            }
            if let Some(before) = before {
                line.number(r#","before":"#, before);
            }
            author(line, by);
        }
    }
    line.raw("}");
}

fn log_use(line: &mut Line, kind: &'static str, used: LogUse<'_>, at: SystemTime, instance: &str) {
    let LogUse { tenant, filter, found, by, done } = used;
    own(line, kind, at, instance);
    if let Some(tenant) = tenant {
        line.word(r#","tenant":""#, tenant.as_str());
    }
    line.text(r#","filter":""#, filter, 400);
    if let Some(found) = found {
        line.number(r#","found":"#, found);
    }
    author(line, Some(by));
    line.number(r#","done":"#, done);
}

/// The longest text of a public key with its name, and of a checkpoint that a few keys have signed, with every character of a
/// name escaped. What is longer would not verify.
const KEY_MAX: usize = 2_048;
const CHECKPOINT_MAX: usize = 12_288;

/// Who or what caused it.
pub(crate) fn cause(line: &mut Line, by: Cause) {
    match by {
        Cause::Admin => line.raw(r#","by":"admin""#),
        Cause::Command(user) => line.number(r#","by":"command","uid":"#, u64::from(user)),
        Cause::File(owner) => {
            line.raw(r#","by":"file""#);
            if let Some(owner) = owner {
                line.number(r#","uid":"#, u64::from(owner));
            }
        }
        Cause::Schedule => line.raw(r#","by":"schedule""#),
        Cause::Signal(sender) => {
            line.raw(r#","by":"signal""#);
            if let Some(Sender { user, process }) = sender {
                line.number(r#","uid":"#, u64::from(user));
                line.number(r#","pid":"#, u64::from(process));
            }
        }
        Cause::Start(user) => line.number(r#","by":"start","uid":"#, u64::from(user)),
        Cause::Unknown => line.raw(r#","by":"unknown""#),
    }
}

fn author(line: &mut Line, by: Option<Author>) {
    match by {
        Some(Author::Admin) => line.raw(r#","by":"admin""#),
        Some(Author::Command(user)) => line.number(r#","by":"command","uid":"#, u64::from(user)),
        Some(Author::Issuer) => line.raw(r#","by":"issuer""#),
        None => {}
    }
}

/// `v1.xc20p.`, what the key is called, a full stop, and what is sealed in base64url.
fn personal(line: &mut Line, Personal { key, sealed }: &Personal<'_>) {
    let mut text = [0; PERSONAL_MAX.div_ceil(3) * 4];
    let length = URL_SAFE_NO_PAD.encode_slice(sealed, &mut text);
    // What is longer, which the types of those who seal rule out, opens for nobody.
    let text = length.ok().and_then(|length| std::str::from_utf8(text.get(..length)?).ok());
    line.word(r#","pii":"v1.xc20p."#, key);
    line.truncate(line.len() - 1);
    line.word(".", text.unwrap_or_default());
}

/// The client's network: precise enough to see an attack, too coarse to be a person.
fn network(line: &mut Line, client: IpAddr) {
    line.raw(",\"ip\":\"");
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            for octet in [a, b, c] {
                line.decimal(u64::from(octet));
                line.raw(".");
            }
            line.raw("0/24\"");
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            for segment in [a, b, c] {
                line.hex_digits(u128::from(segment), 4);
                line.raw(":");
            }
            line.raw(":/48\"");
        }
    }
}

#[cfg(test)]
mod tests;
