use serde_json::json;
use subjects::Held;
use terms::{Clock, TenantId};

use super::{Named, open, ordered, parse};
use crate::args::{self, Format, Whom};
use crate::failure::Failure;
use crate::{print, which};

/// Runs one of the commands.
pub(super) fn run(command: &args::Hold, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        args::Hold::Add { tenant, issuer, subject, order } => {
            let (at, order) = (&order.at, ordered(order, clock)?);
            let named = match (issuer, subject) {
                (Some(issuer), Some(subject)) => {
                    let (tenant, issuer, subject) = (tenant.clone(), issuer.clone(), subject.clone());
                    Some(Named::of(&Whom { tenant, issuer, subject })?)
                }
                (None, _) | (_, None) => None,
            };
            let tenant: TenantId = parse("--tenant", tenant)?;
            let (_, mut vault) = open(at)?;
            let hold = vault.hold(&tenant, named.as_ref().map(Named::person), &order);
            let hold = hold.map_err(|error| Failure::setup("nobody is held", &error))?;
            print::line(format_args!("Hold {}: {} of tenant `{tenant}` cannot be erased.", hold.id, whom(hold.whom)));
            Ok(())
        }
        args::Hold::List { at, format } => {
            let (_, mut vault) = open(at)?;
            let all = vault.holds().map_err(|error| Failure::setup("the list", &error))?;
            match format {
                Format::Json => {
                    let all = all.iter().map(|hold| {
                        let (one, sub) = match hold.whom {
                            Held::All => (false, None),
                            Held::One(surrogate) => (true, surrogate.map(|surrogate| surrogate.to_string())),
                        };
                        json!({
                            "hold": hold.id, "tenant": hold.tenant.as_str(), "whole_tenant": !one, "sub": sub,
                            "reason": hold.reason, "by": hold.who.to_string(), "made": which::time(hold.made),
                        })
                    });
                    let json = serde_json::to_string_pretty(&all.collect::<Vec<_>>());
                    print::line(json.map_err(|error| Failure::broke("the list", &error))?);
                }
                Format::Text if all.is_empty() => print::line("There is no hold."),
                Format::Text => {
                    let head = ["hold", "tenant", "whom", "made", "by", "reason"].map(String::from).to_vec();
                    let rows = all.iter().map(|hold| {
                        let (made, by) = (which::time(hold.made), hold.who.to_string());
                        let (id, tenant) = (hold.id.to_string(), hold.tenant.to_string());
                        vec![id, tenant, whom(hold.whom), made, by, hold.reason.clone()]
                    });
                    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
                    print::table(&rows).into_iter().for_each(print::line);
                }
            }
            Ok(())
        }
        args::Hold::Remove { id, order } => {
            let (_, mut vault) = open(&order.at)?;
            let hold = vault.release(*id, &ordered(order, clock)?);
            match hold.map_err(|error| Failure::setup("the hold stays", &error))? {
                Some(hold) => {
                    print::line(format_args!("Hold {id} on {} of tenant `{}` is gone.", whom(hold.whom), hold.tenant));
                    Ok(())
                }
                None => {
                    print::line(format_args!("There is no hold {id}."));
                    Err(Failure::No)
                }
            }
        }
    }
}

fn whom(held: Held) -> String {
    match held {
        Held::All => "everybody".into(),
        Held::One(Some(surrogate)) => format!("`{surrogate}`"),
        Held::One(None) => "a person that the log does not know yet".into(),
    }
}
