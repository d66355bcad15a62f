//! `cloister privacy …`: what the audit log holds of persons, for those who answer for it.

mod archive;
mod erase;
mod export;
mod hold;
mod mend;
mod receipt;
mod rotate;

use subjects::{Making, Order, Person, SubjectVault};
use terms::{Clock, IssuerId, Subject, TenantId};

use crate::args::{At, Ordered, Privacy, Whom};
use crate::asking::Asking;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{load, operator, print};

/// Runs one of the commands.
pub(crate) fn run(command: &Privacy, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Privacy::Erase { person, order, format } => erase::person(person, &ordered(order, clock)?, &order.at, *format),
        Privacy::OffBoard { tenant, order, format } => {
            erase::tenant(&parse("--tenant", tenant)?, &ordered(order, clock)?, &order.at, *format)
        }
        Privacy::Hash { person, at } => hash(person, at),
        Privacy::Export { person, order, out } => export::run(person, &ordered(order, clock)?, &order.at, out),
        Privacy::Hold(command) => hold::run(command, clock),
        Privacy::Mend { at } => mend::run(at, clock),
        Privacy::RotateRoot { order } => rotate::run(&ordered(order, clock)?, &order.at),
    }
}

fn hash(whom: &Whom, at: &At) -> Result<(), Failure> {
    let (named, (_, mut vault)) = (Named::of(whom)?, open(at)?);
    match vault.find(named.person()).map_err(|error| Failure::setup("the subject vault", &error))? {
        Some(persona) => {
            print::line(persona.surrogate());
            Ok(())
        }
        None => Err(nobody()),
    }
}

/// The audit log has no member of this name.
fn nobody() -> Failure {
    print::line("The audit log has no name for this person: no such member has come here, or it was erased.");
    Failure::No
}

/// A person, read.
struct Named {
    tenant: TenantId,
    issuer: IssuerId,
    subject: Subject,
}

impl Named {
    fn of(Whom { tenant, issuer, subject }: &Whom) -> Result<Self, Failure> {
        let (tenant, issuer) = (parse("--tenant", tenant)?, parse("--issuer", issuer)?);
        Ok(Self { tenant, issuer, subject: parse("--subject", subject)? })
    }

    const fn person(&self) -> Person<'_> {
        Person { tenant: &self.tenant, issuer: &self.issuer, subject: &self.subject }
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|invalid| Failure::Setup(format!("{what}: `{text}`: {invalid}")))
}

fn ordered(Ordered { reason, request_ref, .. }: &Ordered, clock: &dyn Clock) -> Result<Order, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::Setup("--reason: say why; whoever reads the log later will ask".into()));
    }
    // As much of both as a record keeps.
    let reference = request_ref.as_deref().unwrap_or_default();
    for (what, text, most) in [("--reason", reason.as_str(), 400), ("--request-ref", reference, 200)] {
        if text.len() > most {
            return Err(Failure::Setup(format!("{what}: at most {most} bytes, and these are {}", text.len())));
        }
    }
    let (reason, reference) = (reason.trim().to_owned(), request_ref.clone());
    Ok(Order { reason, reference, who: operator::author(), done: clock.unix_seconds() })
}

/// The vault, by its root, which may be in Vault.
fn open(at: &At) -> Result<(Settings, SubjectVault), Failure> {
    open_as(at, Making::No)
}

fn open_as(At { config }: &At, making: Making) -> Result<(Settings, SubjectVault), Failure> {
    let (settings, _) = load::config_with(config, Asking::Vault)?;
    let vault = settings.audit.privacy.vault(&settings.state, making);
    let vault = vault.map_err(|error| Failure::setup("the subject vault", &error))?;
    Ok((settings, vault))
}
