//! `cloister revocations add|list|remove`: tokens that are taken back, in the store that the gateway reads.

use store::{Revocation, Store};
use tenancy::Revoked;
use terms::Clock;

use crate::args::{Files, Format, Revocations};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::which::{self, Names, Which};
use crate::{load, operator, print};

/// Runs one of the commands.
pub(crate) fn run(command: &Revocations, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Revocations::Add { files, which } => {
            let (store, revocation) = named(files, which, clock)?;
            store
                .revoke(&revocation, clock.unix_seconds())
                .map_err(|error| Failure::setup("nothing is taken back", &error))?;
            print::line(format_args!("Taken back: {}.", described(&revocation.revoked)));
            print::line(
                "A gateway that runs with this state folder refuses them within a second, and ends what runs under them.",
            );
            Ok(())
        }
        Revocations::List { config, format } => {
            let (settings, _) = load::config(config)?;
            let all = open(&settings)?.revocations(clock.unix_seconds());
            list(&all.map_err(|error| Failure::setup("the list", &error))?, *format)
        }
        Revocations::Remove { files, which } => {
            let (store, revocation) = named(files, which, clock)?;
            let restored = store
                .restore(&revocation.revoked, operator::author(), clock.unix_seconds())
                .map_err(|error| Failure::setup("nothing is changed", &error))?;
            if !restored {
                print::line(format_args!("Not taken back: {}.", described(&revocation.revoked)));
                return Err(Failure::No);
            }
            print::line(format_args!("Taken back no longer: {}.", described(&revocation.revoked)));
            Ok(())
        }
    }
}

fn named(files: &Files, which: &Which, clock: &dyn Clock) -> Result<(Store, Revocation), Failure> {
    let (settings, known) = load::config(&files.config)?;
    let policy = load::compile_untested(&load::texts(&files.policies)?, &known)?.policy;
    let (issuers, realms) = which::issuers(&settings.issuers);
    let tenants = policy.tenants_for_now();
    let names = Names { issuers: &issuers, realms: &realms, tenants: &tenants };
    let revocation = which.revocation(names, operator::author(), clock.unix_seconds());
    Ok((open(&settings)?, revocation.map_err(|unclear| Failure::Setup(unclear.to_string()))?))
}

fn open(settings: &Settings) -> Result<Store, Failure> {
    Store::open_existing(&settings.state).map_err(|error| Failure::setup("the store", &error))
}

fn list(all: &[Revocation], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let all: Vec<_> = all.iter().map(Which::of).collect();
            let json = serde_json::to_string_pretty(&all);
            print::line(json.map_err(|error| Failure::broke("the list", &error))?);
        }
        Format::Text if all.is_empty() => print::line("No token is taken back here; policy files may do so, too."),
        Format::Text => {
            let rows: Vec<_> =
                std::iter::once(["what", "issuer", "which", "issued before", "until", "made", "by"].map(String::from))
                    .chain(all.iter().map(row))
                    .map(Vec::from)
                    .collect();
            print::table(&rows).into_iter().for_each(print::line);
        }
    }
    Ok(())
}

fn row(revocation: &Revocation) -> [String; 7] {
    let (what, issuer, which, before) = match &revocation.revoked {
        Revoked::Issuer { issuer, before } => ("issuer", issuer.as_str(), "-", Some(*before)),
        Revoked::Session { issuer, sid } => ("session", issuer.as_str(), &**sid, None),
        Revoked::Subject { issuer, subject, before } => ("user", issuer.as_str(), subject.as_str(), *before),
        Revoked::Tenant { tenant, before } => ("tenant", "-", tenant.as_str(), Some(*before)),
        Revoked::Token { issuer, jti } => ("token", issuer.as_str(), &**jti, None),
    };
    let time = |time: Option<u64>| time.map_or_else(|| "-".into(), which::time);
    let by = revocation.author.map_or_else(|| "-".into(), |author| author.to_string());
    let (until, made) = (time(revocation.until), which::time(revocation.made));
    [what.into(), issuer.into(), which.into(), time(before), until, made, by]
}

fn described(revoked: &Revoked) -> String {
    match revoked {
        Revoked::Issuer { issuer, before } => {
            format!("all tokens of issuer `{issuer}` that were issued before {}", which::time(*before))
        }
        Revoked::Session { issuer, sid } => format!("the tokens of session `{sid}` of issuer `{issuer}`"),
        Revoked::Subject { issuer, subject, before: None } => {
            format!("all tokens of user `{subject}` of issuer `{issuer}`, whenever they are issued")
        }
        Revoked::Subject { issuer, subject, before: Some(before) } => {
            format!(
                "the tokens of user `{subject}` of issuer `{issuer}` that were issued before {}",
                which::time(*before)
            )
        }
        Revoked::Tenant { tenant, before } => {
            format!("the tokens for tenant `{tenant}` that were issued before {}", which::time(*before))
        }
        Revoked::Token { issuer, jti } => format!("the token `{jti}` of issuer `{issuer}`"),
    }
}
