//! `cloister explain`: how one request would be decided.

use policy::{Asked, Asker, Assurance, Question};
use terms::{IssuerId, RoleName, Span, Subject};

use crate::args::{Explain, Format};
use crate::failure::Failure;
use crate::{load, print};

/// Judges a request as a real one is judged, and prints the rules in the order in which they were asked.
pub(crate) fn run(arguments: &Explain) -> Result<(), Failure> {
    let (_, known) = load::config(&arguments.files.config)?;
    let texts = load::texts(&arguments.files.policies)?;
    let compiled = load::compile_untested(&texts, &known)?;
    let explanation = compiled.policy.explain(&question(arguments)?);
    match arguments.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&explanation);
            print::line(json.map_err(|error| Failure::broke("the explanation", &error))?);
        }
        Format::Text => print::line(&explanation),
    }
    if explanation.allowed { Ok(()) } else { Err(Failure::No) }
}

fn question(arguments: &Explain) -> Result<Question, Failure> {
    let Explain { method, url, tenant, roles, user, issuer, bound_to, acr, amr, age, from, .. } = arguments;
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
        };
        Ok(Asker { service: None, issuer, subject, tenant: tenant.clone(), roles: roles.into(), assurance })
    };
    let asker = if anonymous { None } else { Some(asker()?) };
    Ok(Question { request: asked, asker, client: *from, headers: Vec::new() })
}

/// Reads a text from the command line.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|invalid| Failure::Setup(format!("{what}: `{text}`: {invalid}")))
}
