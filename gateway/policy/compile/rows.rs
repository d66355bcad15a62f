use std::collections::HashMap;
use std::sync::Arc;

use tenancy::{Registry, Status, Tenant, TenantRow};
use terms::{Finding, Findings, Place, TenantId};
use yaml::{At, Pairs, Spot, Tried};

use super::limits::is_plan;
use super::names::shown;
use super::tenants::read_tenant;
use crate::file::{ClientsEntry, MfaEntry, MfaMarksEntry, RequiredWord, StatusWord, TenantEntry};
use crate::{Known, Policy};

/// The tenants of the files, and those of the rows of a table.
pub(crate) fn with_rows(policy: &Policy, rows: &[TenantRow], known: &Known) -> (Registry, Findings) {
    let files = &policy.tenants;
    let mut findings = Findings::default();
    let mut read: HashMap<TenantId, Tenant> = HashMap::with_capacity(rows.len());
    for row in rows {
        let file: Arc<str> = format!("the row of tenant `{}`", shown(&row.id)).into();
        let mut faults = Findings::default();
        let tenant = read_row(&file, row, policy, known, &mut faults);
        let Ok(id) = row.id.parse::<TenantId>() else {
            findings.append(faults);
            continue; // no request can name it
        };
        if read.contains_key(&id) {
            faults.push(Finding::error(Place::file(&file), "this tenant has two rows"));
        }
        if let Some(plan) = tenant.as_ref().and_then(|tenant| tenant.plan.as_ref())
            && !is_plan(&policy.plans, plan)
        {
            // FAIL CLOSED: nobody knows what that is, so its tenant has the least that any plan has.
            let message = format!("plan `{plan}` is not defined, so this tenant has the least of every limit");
            let finding = Finding::warning(Place::file(&file), message);
            faults.push(finding.did_you_mean(plan.as_str(), policy.plans.iter().map(terms::PlanId::as_str)));
        }
        // FAIL CLOSED: a tenant of which something cannot be read may have demanded just that.
        let retention = tenant.as_ref().map(|tenant| tenant.retention).unwrap_or_default();
        let sound = tenant.filter(|_| !faults.reject());
        let unreadable = |id| Tenant { retention, ..Tenant::new(id, Status::Unreadable) };
        read.insert(id.clone(), sound.unwrap_or_else(|| unreadable(id)));
        findings.append(faults);
    }
    // ORDER: the files first, whose demands stay where both speak of one tenant.
    let all = files.iter().cloned().chain(read.into_values()).collect();
    (all, findings)
}

fn read_row(
    file: &Arc<str>,
    row: &TenantRow,
    policy: &Policy,
    known: &Known,
    findings: &mut Findings,
) -> Option<Tenant> {
    if policy.tenants.get(&row.id).is_some() && !row.says_its_status_alone() {
        let finding = Finding::error(Place::file(file), "this tenant stands in the policy files, too");
        findings.push(finding.help("of such a tenant a row says `id` and `status`; what else it is stands there"));
    }
    let status = match row.status.as_str() {
        "active" => StatusWord::Active,
        "suspended" => StatusWord::Suspended,
        "closed" => StatusWord::Closed,
        other => {
            let message = format!("`{}` is no status of a tenant", shown(other));
            findings.push(Finding::error(Place::file(file), message).help("`active`, `suspended` or `closed`"));
            return None;
        }
    };
    let mfa = match (row.mfa.as_deref(), &row.mfa_amr, &row.mfa_acr) {
        (None, None, None) => None,
        (Some("required"), None, None) => Some(MfaEntry::Required(RequiredWord::Required)),
        (None, amr, acr) => {
            let marks = |marks: &Option<Vec<String>>| marks.as_deref().map(all).unwrap_or_default();
            Some(MfaEntry::By(MfaMarksEntry { amr: marks(amr), acr: marks(acr) }))
        }
        (Some(_), _, _) => {
            let finding = Finding::error(Place::file(file), "`mfa` is `required`, or NULL");
            findings.push(finding.help("what shows more than one factor stands in `mfa_amr` and `mfa_acr`"));
            return None;
        }
    };
    let clients = match (&row.clients_allow, &row.clients_deny) {
        (None, None) => None,
        (allow, deny) => Some(ClientsEntry {
            allow: allow.as_deref().map(all).map(at),
            deny: deny.as_deref().map(all).unwrap_or_default(),
        }),
    };
    let text = |text: &Option<String>| text.clone().map(at);
    let entry = TenantEntry {
        roles: yaml::Pairs::default(), // those stand in files alone, and so do bindings to them
        role_bindings: None,
        status: Tried(Some(status)),
        clients,
        issuers: row.issuers.as_deref().map(all).map(at),
        plan: text(&row.plan),
        limits: Pairs::default(),
        weight: None,
        region: text(&row.region),
        time_zone: text(&row.time_zone),
        retention: text(&row.retention),
        session_max: text(&row.session_max),
        mfa: mfa.map(|mfa| at(Tried(Some(mfa)))),
    };
    read_tenant(file, &at(row.id.clone()), Some(&entry), (known, &policy.weights), findings)
}

/// Nobody has written it into a file.
const fn at<T>(value: T) -> At<T> {
    At { spot: Spot { line: 1, column: 1 }, value }
}

fn all(texts: &[String]) -> Vec<At<String>> {
    texts.iter().cloned().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Known, Source, compile};

    fn row(id: &str, status: &str) -> TenantRow {
        TenantRow { id: id.into(), status: status.into(), ..TenantRow::default() }
    }

    #[test]
    fn a_row_that_cannot_be_read_makes_its_tenant_one_that_is_refused_and_no_other() {
        let known =
            Known { issuers: [("dev".parse().unwrap(), tenancy::MembershipSource::Claims)].into(), ..Known::default() };
        let text = "tenants: { acme: { status: active, plan: gold }, initech: { status: suspended } }";
        let policy = compile(&[Source { path: "p.yaml", text }], &known).unwrap().policy;
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let good = row("good", "active");
        for (row, status, told) in [
            (good.clone(), Some(Status::Active), ""),
            (row("good", "suspended"), Some(Status::Suspended), ""),
            (row("good", "closed"), Some(Status::Closed), ""),
            (row("good", "Active"), Some(Status::Unreadable), "no status"),
            (row("good", ""), Some(Status::Unreadable), "no status"),
            (row("Not Good", "active"), None, "tenant"),
            (row("acme", "active"), Some(Status::Active), ""),
            (row("acme", "suspended"), Some(Status::Suspended), ""),
            (row("initech", "active"), Some(Status::Suspended), ""),
            (
                TenantRow { plan: Some("x".into()), ..row("acme", "active") },
                Some(Status::Unreadable),
                "policy files, too",
            ),
            (TenantRow { issuers: list(&["dev"]), ..good.clone() }, Some(Status::Active), ""),
            (TenantRow { issuers: list(&["devv"]), ..good.clone() }, Some(Status::Unreadable), "not configured"),
            (TenantRow { issuers: list(&[]), ..good.clone() }, Some(Status::Unreadable), "no issuer"),
            (TenantRow { clients_allow: list(&["10.0.0.0/8"]), ..good.clone() }, Some(Status::Active), ""),
            (TenantRow { clients_allow: list(&["10.0.0.0/99"]), ..good.clone() }, Some(Status::Unreadable), ""),
            (TenantRow { clients_deny: list(&["everybody"]), ..good.clone() }, Some(Status::Unreadable), ""),
            (TenantRow { session_max: Some("8h".into()), ..good.clone() }, Some(Status::Active), ""),
            (TenantRow { session_max: Some("0s".into()), ..good.clone() }, Some(Status::Unreadable), "no session"),
            (TenantRow { mfa: Some("required".into()), ..good.clone() }, Some(Status::Active), ""),
            (TenantRow { mfa: Some("yes".into()), ..good.clone() }, Some(Status::Unreadable), "`mfa` is"),
            (TenantRow { mfa_amr: list(&[]), ..good.clone() }, Some(Status::Unreadable), ""),
            (TenantRow { mfa_amr: list(&["otp"]), ..good.clone() }, Some(Status::Active), ""),
            (TenantRow { plan: Some("not a plan".into()), ..good.clone() }, Some(Status::Unreadable), ""),
        ] {
            let beside = self::row("beside", "active");
            let (registry, findings) = policy.with_rows(&[row.clone(), beside], &known);
            assert_eq!(registry.get(&row.id).map(|tenant| tenant.status), status, "{row:?} {findings}");
            assert!(findings.to_string().contains(told), "{row:?} {told}: {findings}");
            assert_eq!(registry.get("beside").unwrap().status, Status::Active);
            assert_eq!(registry.get("acme").unwrap().plan.as_ref().unwrap().as_str(), "gold");
            let refused = status.is_none_or(|status| status == Status::Unreadable);
            assert_eq!(findings.reject(), refused, "{row:?} {findings}");
        }
        let (registry, _) = policy.with_rows(&[good.clone(), good], &known);
        assert_eq!(registry.get("good").unwrap().status, Status::Unreadable, "two rows");
    }
}
