//! `cloister explain`: how one request would be decided.

use std::path::Path;
use std::time::SystemTime;

use policy::{Asked, Asker, Assurance, Known, Question, ShownKey};
use store::{KeptKey, Store};
use terms::{Claimed, Clock, IssuerId, Reason, RoleName, Span, Subject};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{Explain, Format};
use crate::failure::Failure;
use crate::{load, print, which};

/// Judges a request as a real one is judged, and prints the rules in the order in which they were asked.
pub(crate) fn run(arguments: &Explain, clock: &dyn Clock) -> Result<(), Failure> {
    let (settings, known) = load::config(&arguments.files.config)?;
    let texts = load::texts(&arguments.files.policies)?;
    let compiled = load::compile_untested(&texts, &known)?;
    let mut question = question(arguments, &known, clock)?;
    if let Some(id) = &arguments.api_key {
        question.asker = Some(holder(&settings.state, id, clock.unix_seconds())?);
    }
    let explanation = compiled.policy.explain(&question);
    match arguments.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&explanation);
            print::line(json.map_err(|error| Failure::broke("the explanation", &error))?);
        }
        Format::Text => print::line(&explanation),
    }
    if explanation.allowed { Ok(()) } else { Err(Failure::No) }
}

fn question(arguments: &Explain, known: &Known, clock: &dyn Clock) -> Result<Question, Failure> {
    let Explain {
        method,
        url,
        tenant,
        roles,
        user,
        issuer,
        bound_to,
        acr,
        amr,
        age,
        scopes,
        claims,
        headers,
        from,
        at,
        ..
    } = arguments;
    let asked: Asked = parse("the request", &format!("{method} {url}"))?;
    let anonymous = tenant.is_none() && roles.is_empty() && user.is_none() && issuer.is_none();
    let asker = || -> Result<Asker, Failure> {
        let issuer: Option<IssuerId> = issuer.as_deref().map(|issuer| parse("--issuer", issuer)).transpose()?;
        let subject: Subject = parse("--user", user.as_deref().unwrap_or("somebody"))?;
        let roles = roles.iter().map(|role| parse("--roles", role)).collect::<Result<Vec<RoleName>, _>>()?;
        let bound_to = bound_to.iter().map(|binding| parse("--bound-to", binding)).collect::<Result<_, _>>()?;
        let age: Option<Span> = age.as_deref().map(|age| parse("--age", age)).transpose()?;
        let assurance = Assurance {
            bound_to,
            acr: acr.as_deref().map(Into::into),
            amr: amr.iter().map(|method| method.as_str().into()).collect(),
            age: age.map(|Span(age)| age),
            scopes: scopes.join(" "),
            claims: self::claims(claims, known)?,
        };
        Ok(Asker { service: None, key: None, issuer, subject, tenant: tenant.clone(), roles: roles.into(), assurance })
    };
    let asker = if anonymous { None } else { Some(asker()?) };
    let now = match at.as_deref() {
        Some(at) => OffsetDateTime::parse(at, &Rfc3339)
            .map(SystemTime::from)
            .map_err(|invalid| Failure::Setup(format!("--at: `{at}`: {invalid}")))?,
        None => clock.now(),
    };
    Ok(Question { request: asked, asker, client: *from, now: Some(now), headers: self::headers(headers)? })
}

/// The claims that were typed, each at its place.
fn claims(typed: &[String], known: &Known) -> Result<Vec<Claimed>, Failure> {
    let mut claims = Vec::new();
    for typed in typed {
        let named = typed.split_once('=');
        let (name, value) = named.ok_or_else(|| Failure::Setup(format!("--claim: `{typed}` is not NAME=VALUE")))?;
        let claimed = known.claimed(name, value).map_err(|message| Failure::Setup(format!("--claim: {message}")))?;
        if let Some((place, claimed)) = claimed {
            claims.resize(claims.len().max(place + 1), Claimed::Absent);
            claims.splice(place..=place, [claimed]);
        }
    }
    Ok(claims)
}

/// The header fields that were typed.
fn headers(typed: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let field = |typed: &String| {
        let named =
            typed.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        named.ok_or_else(|| Failure::Setup(format!("--header: `{typed}` is not `NAME: VALUE`")))
    };
    typed.iter().map(field).collect()
}

/// Whoever holds this key, by what is kept of it.
fn holder(state: &Path, id: &str, now: u64) -> Result<Asker, Failure> {
    let store = Store::open_existing(state).map_err(|error| Failure::setup("the store", &error))?;
    let all = store.keys().map_err(|error| Failure::setup("the key", &error))?;
    let Some(KeptKey { row, used }) = all.iter().find(|kept| *kept.row.id == *id) else {
        let guess = terms::nearest(id, all.iter().map(|kept| &*kept.row.id));
        let guess = guess.map(|id| format!(": did you mean `{id}`?")).unwrap_or_default();
        return Err(Failure::Setup(format!("--api-key: no key is called `{id}`{guess}")));
    };
    let time = which::time;
    let (refused, mut standing) = match (row.revoked, row.expires) {
        (Some(revoked), _) => (Some(Reason::AuthKeyRevoked), format!("taken back at {}", time(revoked))),
        (None, Some(expires)) if now >= expires => {
            (Some(Reason::AuthKeyExpired), format!("expired at {}", time(expires)))
        }
        (None, Some(expires)) => (None, format!("good until {}", time(expires))),
        (None, None) => (None, "good until it is taken back".to_owned()),
    };
    standing.push_str(&format!(", made at {}", time(row.made)));
    if let Some(used) = used {
        standing.push_str(&format!(", used last at {} or some minutes later", time(*used)));
    }
    let next = |KeptKey { row: other, .. }: &&KeptKey| {
        let good = other.revoked.is_none() && other.expires.is_none_or(|expires| now < expires);
        let same = other.tenant == row.tenant && other.name == row.name;
        good && same && other.id != row.id && other.made >= row.made
    };
    if let Some(KeptKey { row: next, .. }) = all.iter().filter(next).max_by_key(|kept| kept.row.made) {
        standing.push_str(&format!("; the latest of this name is `{}`, made at {}", next.id, time(next.made)));
    }
    let subject = apikey::subject(&row.tenant, &row.name);
    Ok(Asker {
        service: None,
        key: Some(ShownKey { id: id.to_owned(), standing, refused }),
        issuer: Some(parse("the issuer of keys", apikey::ISSUER)?),
        subject: subject.map_err(|error| Failure::broke("the name of the key", &error))?,
        tenant: Some(row.tenant.to_string()),
        roles: row.roles.clone().into(),
        assurance: Assurance::default(),
    })
}

/// Reads a text from the command line.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|invalid| Failure::Setup(format!("{what}: `{text}`: {invalid}")))
}
