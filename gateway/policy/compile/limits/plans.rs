use std::sync::Arc;

use terms::{Finding, Findings, PlanId, TenantId};
use yaml::{At, Pairs, Tried};

use super::amount::Reader;
use super::{Limits, Written};
use crate::compile::names::{Names, parse};
use crate::file::AmountEntry;
use crate::limit::{Amount, KeyPart};

/// The plans that stand in the files. Where there is none, a tenant's plan is a name and nothing more.
pub(in crate::compile) struct Plans {
    names: Names<()>,
    ids: Vec<PlanId>,
}

impl Plans {
    /// Looks up the plan that a tenant of the files has; notes if there is none of this name.
    pub(in crate::compile) fn check(&self, file: &Arc<str>, plan: &At<String>, findings: &mut Findings) {
        if !self.ids.is_empty() {
            self.names.find(file, plan, findings);
        }
    }

    pub(in crate::compile) fn into_ids(self) -> Vec<PlanId> {
        self.ids
    }
}

pub(super) fn read(files: &[Written<'_>], limits: &mut Limits, findings: &mut Findings) -> Plans {
    let mut plans = Plans { names: Names::of("plan"), ids: Vec::new() };
    for Written { file, entries, .. } in files {
        for plan in &entries.plans {
            plans.names.give(plan.name.as_str(), plan.name.spot.place(file), (), findings);
            let id: Option<PlanId> = parse(file, &plan.name, findings);
            plans.ids.extend(id.clone());
            for (rule, amount) in
                plan.entry.iter().flat_map(|has| amounts(file, has, limits, findings)).collect::<Vec<_>>()
            {
                if let (Some(id), Some(rule)) = (&id, limits.rules.get_mut(rule)) {
                    rule.plans.push((id.clone(), amount));
                }
            }
        }
        for tenant in &entries.tenants {
            let Some(entry) = &tenant.entry else { continue };
            let id: Option<TenantId> = tenant.name.value.parse().ok(); // if it does not parse, that is said elsewhere
            for (rule, amount) in amounts(file, &entry.limits, limits, findings) {
                if let (Some(id), Some(rule)) = (&id, limits.rules.get_mut(rule)) {
                    rule.tenants.push((id.clone(), amount));
                }
            }
        }
    }
    plans
}

/// What a plan or a tenant has of each limit: its place in the list, and how much.
fn amounts(
    file: &Arc<str>,
    written: &Pairs<Tried<AmountEntry>>,
    limits: &Limits,
    findings: &mut Findings,
) -> Vec<(usize, Amount)> {
    let mut read = Vec::new();
    for (name, entry) in &written.0 {
        let found = limits.find(file, name, findings);
        let Some(entry) = &entry.0 else { continue };
        let place = name.spot.place(file);
        let of = found.and_then(|(_, rule)| rule).map(|rule| rule.amount);
        let amount = Reader { file }.amount(place.clone(), entry, of, findings);
        let (Some((index, Some(rule))), Some(amount)) = (found, amount) else { continue };
        if amount.kind() != rule.amount.kind() {
            let (kind, other) = (rule.amount.kind(), amount.kind());
            let finding = Finding::error(place, format!("limit `{}` counts `{kind}` and not `{other}`", rule.id));
            findings.push(finding.help(format!("it stands at {}", rule.place)));
        } else if !rule.key.contains(&KeyPart::Tenant) {
            // Two tenants with different numbers would share one budget, and the laxer ones would count for both.
            let message =
                format!("limit `{}` has one budget for several tenants, so none can have its own numbers", rule.id);
            findings.push(Finding::error(place, message).help("put `tenant` into its key"));
        } else {
            read.push((index, amount));
        }
    }
    read
}
