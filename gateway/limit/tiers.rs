use std::collections::HashMap;

use terms::{PlanId, TenantId};

use crate::fields::policy_item;
use crate::pace::Pace;
use crate::{InvalidLimit, Limit, Numbers, Scope};

/// The numbers of one limit: its own, those of plans, and those of single tenants.
#[derive(Debug)]
pub(crate) struct Tiers {
    all: Vec<Tier>,
    /// Which of them each plan has, in the order of the plans. Empty if none has its own.
    by_plan: Vec<u16>,
    by_tenant: HashMap<TenantId, u16>,
    /// What is left to a tenant whose plan nobody knows.
    strictest: u16,
}

#[derive(Debug)]
struct Tier {
    /// What is judged by in process: of a limit in a store, this gateway's share.
    pace: Pace,
    /// What the store judges by.
    shared: Option<Pace>,
    policy_item: String,
    /// How much there is in its window, as older fields tell it.
    whole: u64,
}

/// The limit's own numbers.
const OWN: u16 = 0;

impl Tiers {
    pub(crate) fn of(limit: &Limit, plans: &[PlanId]) -> Result<Self, InvalidLimit> {
        let Limit { id, numbers, plans: of_plans, tenants, .. } = limit;
        let mut made = Self { all: Vec::new(), by_plan: Vec::new(), by_tenant: HashMap::new(), strictest: OWN };
        made.add(limit, numbers)?;
        if !of_plans.is_empty() {
            made.by_plan = vec![OWN; plans.len()];
        }
        let mut strictest = *numbers;
        for (plan, numbers) in of_plans {
            let tier = made.add(limit, numbers)?;
            strictest = strictest.stricter(*numbers);
            if let Some(place) = plans.binary_search(plan).ok().and_then(|place| made.by_plan.get_mut(place)) {
                *place = tier;
            }
        }
        for (tenant, numbers) in tenants {
            let tier = made.add(limit, numbers)?;
            made.by_tenant.insert(tenant.clone(), tier);
        }
        if !of_plans.is_empty() {
            made.strictest = made.add(limit, &strictest)?;
        }
        if made.all.len() > usize::from(u16::MAX) {
            return Err(InvalidLimit::Many(id.clone()));
        }
        Ok(made)
    }

    fn add(&mut self, limit: &Limit, numbers: &Numbers) -> Result<u16, InvalidLimit> {
        if std::mem::discriminant(numbers) != std::mem::discriminant(&limit.numbers) {
            return Err(InvalidLimit::Kind(limit.id.clone()));
        }
        let tier = u16::try_from(self.all.len()).map_err(|_| InvalidLimit::Many(limit.id.clone()))?;
        let (pace, shared) = match limit.scope {
            Scope::Gateway => (Pace::of(&limit.id, numbers)?, None),
            Scope::Store { gateways, .. } => {
                let share = Pace::of(&limit.id, &numbers.share(gateways))?;
                (share, Some(Pace::of(&limit.id, numbers)?.in_micros(&limit.id)?))
            }
        };
        self.all.push(Tier { pace, shared, policy_item: policy_item(limit, numbers), whole: whole(numbers) });
        Ok(tier)
    }

    /// Which numbers count for an asker: those of its tenant, of its plan, or the limit's own.
    pub(crate) fn of_asker(&self, tenant: Option<&TenantId>, plan: Option<Option<usize>>) -> u16 {
        if let Some(tenant) = tenant.filter(|_| !self.by_tenant.is_empty())
            && let Some(own) = self.by_tenant.get(tenant)
        {
            return *own;
        }
        match plan {
            None => OWN,
            Some(Some(plan)) => self.by_plan.get(plan).copied().unwrap_or(OWN),
            Some(None) => self.strictest, // FAIL CLOSED: what was bought nobody knows, so it is the least of all
        }
    }

    pub(crate) fn pace(&self, tier: u16) -> Option<&Pace> {
        self.all.get(usize::from(tier)).map(|tier| &tier.pace)
    }

    /// What a store judges by, if it is asked.
    pub(crate) fn shared(&self, tier: u16) -> Option<&Pace> {
        self.all.get(usize::from(tier)).and_then(|tier| tier.shared.as_ref())
    }

    pub(crate) fn whole(&self, tier: u16) -> Option<u64> {
        self.all.get(usize::from(tier)).map(|tier| tier.whole)
    }

    pub(crate) fn policy_item(&self, tier: u16) -> Option<&str> {
        self.all.get(usize::from(tier)).map(|tier| tier.policy_item.as_str())
    }
}

fn whole(numbers: &Numbers) -> u64 {
    match *numbers {
        Numbers::Bytes { burst: 0, .. } | Numbers::Rate { burst: 0, .. } => 0,
        Numbers::Bytes { rate, .. } => rate.bytes.get(),
        Numbers::Concurrency(most) => most.into(),
        Numbers::Failures(failures) => failures.most.into(),
        Numbers::Quota { count, .. } => count.into(),
        Numbers::Rate { rate, .. } => rate.count.get().into(),
    }
}
