use std::collections::HashMap;
use std::sync::Arc;

use terms::{Finding, Findings, PlanId, TenantId, Weight};
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
    weights: HashMap<PlanId, Weight>,
}

impl Plans {
    /// Looks up the plan that a tenant of the files has; notes if there is none of this name.
    pub(in crate::compile) fn check(&self, file: &Arc<str>, plan: &At<String>, findings: &mut Findings) {
        if !self.ids.is_empty() {
            self.names.find(file, plan, findings);
        }
    }

    /// How much of what is short the tenants of each plan get. Those of others have the least.
    pub(in crate::compile) const fn weights(&self) -> &HashMap<PlanId, Weight> {
        &self.weights
    }

    pub(in crate::compile) fn into_parts(self) -> (Vec<PlanId>, HashMap<PlanId, Weight>) {
        (self.ids, self.weights)
    }
}

pub(super) fn read(files: &[Written<'_>], limits: &mut Limits, findings: &mut Findings) -> Plans {
    let mut plans = Plans { names: Names::of("plan"), ids: Vec::new(), weights: HashMap::new() };
    for Written { file, entries, .. } in files {
        for plan in &entries.plans {
            plans.names.give(plan.name.as_str(), plan.name.spot.place(file), (), findings);
            let id: Option<PlanId> = parse(file, &plan.name, findings);
            plans.ids.extend(id.clone());
            let weight = plan.entry.as_ref().and_then(|has| read_weight(file, has.weight.as_ref(), findings));
            plans.weights.extend(id.clone().zip(weight));
            for (rule, amount) in
                plan.entry.iter().flat_map(|has| amounts(file, &has.limits, limits, findings)).collect::<Vec<_>>()
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

/// How much of what is short a plan or a tenant says that it gets.
pub(in crate::compile) fn read_weight(
    file: &Arc<str>,
    written: Option<&At<Tried<u32>>>,
    findings: &mut Findings,
) -> Option<Weight> {
    let written = written?;
    let number = written.value.0?;
    Weight::try_from(number)
        .inspect_err(|invalid| {
            let finding = Finding::error(written.spot.place(file), invalid.to_string());
            findings.push(if number == 0 {
                finding.help("who is not to be served has `status: suspended`; leave it out for 1")
            } else {
                finding
            });
        })
        .ok()
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
